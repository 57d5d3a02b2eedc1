//! What the stories of this package are told with: a server process, a chain, a payer, and other ends that misbehave
//! on demand.
//!
//! Everything blocks: a story is a list of steps, and where steps happen at once there are threads.

mod binary;
mod facilitator;
mod fleet;
mod http;
mod listener;
mod official;
mod payer;
mod proxy;
mod script;
mod server;
mod shop;
pub mod spelling;

pub use self::{
    facilitator::{Answer, ScriptedFacilitator},
    fleet::{Answered, Fleet},
    http::{Connection, Request, Response},
    official::{Calls, Fault, OfficialFacilitator},
    payer::{Challenge, Payer, Payment, Window, now},
    proxy::{Cut, Line},
    script::Script,
    server::{Delivery, Environment, Framework, Server},
    shop::{
        Books, FUNDS, GAS, MERCHANT, PAYER, QUOTE_KEY, Shop, eventually, paid_runs, persist, send_at_once,
    },
};

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;
