//! PostgreSQL, and what it is started with.

mod database;
mod options;
mod single;

pub use self::{options::PostgresOptions, single::Postgres};
