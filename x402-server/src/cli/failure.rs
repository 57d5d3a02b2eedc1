//! Why a command did not do what it was asked.

use std::{fmt, io};

use x402_core::{error::ConfigError, order::StoreError};

use super::{LOOK, UNUSABLE};

#[derive(Debug)]
pub(super) enum Failure {
    /// There is no such order.
    NotFound(String),
    /// It has not come so far.
    TooEarly(&'static str),
    /// An argument or the store is wrong.
    Config(ConfigError),
    /// The store failed on the way.
    Store(StoreError),
    /// Nothing is to be had from the chain.
    Chain(String),
    /// What was found could not be written.
    Output(io::Error),
}

impl Failure {
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::NotFound(_) | Self::TooEarly(_) => LOOK,
            _ => UNUSABLE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(what) => write!(f, "no order is known by {what}"),
            Self::TooEarly(why) => f.write_str(why),
            Self::Config(error) => with_causes(f, error),
            Self::Store(error) => with_causes(f, error),
            Self::Chain(why) => write!(f, "the chain cannot be asked: {why}"),
            Self::Output(error) => write!(f, "output: {error}"),
        }
    }
}

/// The causes tell what to do.
fn with_causes(f: &mut fmt::Formatter<'_>, error: &dyn std::error::Error) -> fmt::Result {
    let mut last = error.to_string();
    f.write_str(&last)?;
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some repeat their cause.
        if !last.contains(&text) {
            write!(f, ": {text}")?;
            last = text;
        }
        cause = error.source();
    }
    Ok(())
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
