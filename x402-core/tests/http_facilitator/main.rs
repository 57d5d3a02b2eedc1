//! The facilitator's client against a server that answers by script: every recorded exchange, every way to fail.

mod answers;
mod auth;
mod breaker;
mod failover;
mod faults;
mod fixture;
mod logs;
mod recorded;
mod retries;
mod server;
mod supported;
