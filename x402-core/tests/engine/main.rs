//! The engine with fakes at its ports: what every adapter may rely on.

mod admission;
mod binding;
mod dynamic;
mod retries;
mod settlement;
mod support;
