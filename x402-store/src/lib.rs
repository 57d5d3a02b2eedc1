//! Order stores that outlive a process, behind the one port [`OrderStore`](x402_core::order::OrderStore).
//!
//! | store | for | remembers |
//! |---|---|---|
//! | `SqliteStore` | one machine | in one file, for ever |
//! | `PostgresStore` | many machines | for ever |
//! | `RedisStore` | many machines | as long as an authorization can be used, delivered ones a day |
//!
//! [`StoreUrl`] opens any of them by one text.
//!
//! What a presentation or an event does to an order is decided by pure functions of `x402-core`; a store reads a row,
//! lets them decide, and writes the row if nobody changed it meanwhile (`steps.rs`). A back end knows rows and nothing
//! of payments (`rows.rs`).

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod codec;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod forward;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod patience;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod rows;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod steps;

mod url;

pub use self::url::StoreUrl;

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub use self::postgres::{PostgresStore, PostgresStoreBuilder};
#[cfg(feature = "redis")]
#[cfg_attr(docsrs, doc(cfg(feature = "redis")))]
pub use self::redis::{RedisStore, RedisStoreBuilder};
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use self::sqlite::{SqliteStore, SqliteStoreBuilder};
