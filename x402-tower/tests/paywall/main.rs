//! The layer through its public service, with a facilitator that moves imaginary money.

mod bodies;
mod delivery;
mod free;
mod grpc;
mod metered;
mod paid;
mod readiness;
mod refused;
mod short;
mod support;
