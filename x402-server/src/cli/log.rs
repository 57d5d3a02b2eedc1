//! What the command says while it works: on standard error, so that standard output is for answers.

use std::{env, io};

use clap::{Args, ValueEnum};
use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};
use x402_core::error::ConfigError;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// How log lines look. How much is said is up to RUST_LOG, as in RUST_LOG=info,x402_evm=debug
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "plain")]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Lines for people
    Plain,
    /// One JSON document a line
    Json,
}

impl Arguments {
    /// Says everything of `level` and above, or what RUST_LOG wants. Where somebody has a log already, that one is kept.
    pub(super) fn install(&self, level: Level) -> Result<(), ConfigError> {
        let wanted = match env::var(VARIABLE) {
            Ok(text) if !text.trim().is_empty() => text.parse::<Targets>().map_err(|error| {
                ConfigError::new(VARIABLE, "wanted targets and levels, as in info,x402_evm=debug")
                    .with_source(error)
            })?,
            _ => Targets::new().with_default(level),
        };
        let lines = fmt::layer().with_writer(io::stderr).with_ansi(false);
        let log = tracing_subscriber::registry().with(wanted);
        let _ = match self.log_format {
            Format::Plain => log.with(lines).try_init(),
            Format::Json => log.with(lines.json()).try_init(),
        };
        Ok(())
    }
}

const VARIABLE: &str = "RUST_LOG";
