//! Redis, a Redis Cluster and PostgreSQL for tests, as ordinary processes on free loopback ports.
//!
//! Each server has a temporary folder of its own and ends with its value, with its process and with Ctrl-C; the
//! folder goes with it. The system's own instances are neither used nor touched. Every call blocks. A Redis starts
//! in some 20 ms, a cluster in two or three seconds, PostgreSQL in one or two: share that one and take a database per
//! test.
//!
//! ```no_run
//! use devservices::{Postgres, Redis, RedisCluster};
//!
//! # fn main() -> Result<(), devservices::ServiceError> {
//! let redis = Redis::start()?;                       // appends to its file: survives `kill` and `restart`
//! redis.kill()?;
//! redis.restart()?;
//! assert_eq!(redis.command(&["DBSIZE"])?, "0");
//!
//! let cluster = RedisCluster::start()?;
//! assert_eq!(cluster.urls().len(), 3);
//!
//! let database = Postgres::shared()?.database()?;    // `postgres://..`, empty, of this test alone
//! # Ok(())
//! # }
//! ```
#![cfg(unix)]

mod account;
mod cluster;
mod error;
mod folder;
mod ports;
mod postgres;
mod process;
mod programs;
mod redis;
mod server;
mod wait;

pub use self::{
    cluster::RedisCluster,
    error::ServiceError,
    postgres::{Postgres, PostgresOptions},
    programs::{Missing, missing},
    redis::{Redis, RedisOptions},
};
