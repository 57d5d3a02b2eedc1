//! The scripts: each is one step, atomic in a cluster too, since all its keys are in one hash slot.
//!
//! They compare versions and write; what an order may do is decided before.

use std::sync::LazyLock;

/// A script, and the name under which a server knows it once it has run there.
pub(super) struct Script {
    pub(super) code: &'static str,
    pub(super) hash: String,
}

impl Script {
    fn new(code: &'static str) -> Self {
        Self { code, hash: redis::Script::new(code).get_hash().to_owned() }
    }
}

macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!(include_str!("shared.lua"), include_str!($file))));
    };
}

script! {
    /// Writes a new row.
    INSERT, "insert.lua"
}
script! {
    /// Writes a changed row.
    REPLACE, "replace.lua"
}
script! {
    /// Forgets what indices say of rows that have expired.
    SWEEP, "sweep.lua"
}
script! {
    /// Does whatever the others do, and nothing.
    PROBE, "probe.lua"
}
