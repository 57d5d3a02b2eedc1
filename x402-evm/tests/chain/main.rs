//! The facilitator and the witness against a real chain.

#![cfg(feature = "rpc")]

mod accounts;
mod evidence;
mod lane;
mod preflight;
mod proxy;
mod quirks;
mod settle;
mod vectors;
mod verify;
mod world;
