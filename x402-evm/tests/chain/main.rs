//! The facilitator and the witness against a real chain.

#![cfg(feature = "rpc")]

mod accounts;
mod batch;
mod batch_faults;
mod evidence;
mod lane;
mod permit2;
mod permit2_evidence;
mod preflight;
mod proxy;
mod quirks;
mod race;
mod settle;
mod sponsored;
mod upto;
mod vectors;
mod verify;
mod world;
