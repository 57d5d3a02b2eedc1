//! What all stories here have in common.

use std::{
    env,
    io::{self, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use x402_tests::Framework;

/// Two servers, through different adapters.
pub(crate) const TWO: [Framework; 2] = [Framework::Axum, Framework::Actix];
/// Four, through all of them.
pub(crate) const FOUR: [Framework; 4] =
    [Framework::Axum, Framework::Tower, Framework::Actix, Framework::Axum];

/// How often something is repeated, unless `ROUNDS` says otherwise.
pub(crate) fn rounds(default: usize) -> usize {
    env::var("ROUNDS").map_or(default, |rounds| rounds.parse().expect("ROUNDS is a number"))
}

/// While this is held nobody else loads the machine, so that times mean something.
#[must_use]
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // Whoever failed while it had the machine has nothing to do with the next one.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes past the test runner, which keeps what passing tests print to itself.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes()); // nobody reads it at worst
}
