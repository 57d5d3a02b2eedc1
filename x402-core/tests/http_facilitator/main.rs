//! The facilitator's client against a server that answers by script: every recorded exchange, every way to fail.

mod answers;
mod faults;
mod fixture;
mod logs;
mod recorded;
mod server;
