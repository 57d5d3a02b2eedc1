//! A server dies at the worst moments, stands still for longer than its lease, or is asked to end: afterwards the store and the
//! chain agree to the last unit, and whoever paid has been served, or is listed as owed.
//!
//! Recovery times are written to the standard error. `KILLS=200` kills that often under load, and `SEED` repeats a run's moments.
#![cfg(unix)]

mod drain;
mod load;
mod moments;
mod pauses;
mod random;
mod records;
mod stage;
mod steps;
