//! One Redis, and what it is started with.

mod options;
mod replica;
mod resp;
mod single;

pub use self::{options::RedisOptions, single::Redis};
