//! `cargo xtask deny`.

use crate::{BoxError, job, tools};

/// Checks `deny.toml`. Not `advisories`: their database is fetched from outside the registry.
pub(crate) fn run() -> Result<(), BoxError> {
    job::run(tools::DENY.command()?.args(["check", "licenses", "bans", "sources"]))
}
