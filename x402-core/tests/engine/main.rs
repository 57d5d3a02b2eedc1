//! The engine with fakes at its ports: what every adapter may rely on.

mod admission;
mod attacks;
mod binding;
mod bodies;
mod charges;
mod contracts;
mod crashes;
mod deferred;
mod draining;
mod dynamic;
mod faults;
mod forgetting;
mod headers;
mod identifiers;
mod leases;
mod ports;
mod retries;
mod settlement;
mod start;
mod streams;
mod support;
mod worker;
