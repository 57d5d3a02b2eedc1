//! The engine with fakes at its ports: what every adapter may rely on.

mod admission;
mod attacks;
mod binding;
mod bodies;
mod contracts;
mod dynamic;
mod faults;
mod headers;
mod identifiers;
mod retries;
mod settlement;
mod simulation;
mod support;
