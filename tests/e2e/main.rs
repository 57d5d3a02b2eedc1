//! What needs a real process, a real chain, or something on the way to break.

mod compositions;
mod cors;
mod crash;
mod faults;
mod inputs;
mod load;
mod lost_answers;
mod official;
mod outage;
mod quirks;
mod remote;
mod slow_blocks;
mod slow_bodies;
mod sockets;
mod stall;
mod start;
mod streams;
