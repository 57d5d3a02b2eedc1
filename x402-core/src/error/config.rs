//! Mistakes of the operator, found when something is built.

use std::fmt;

use super::BoxError;

/// A mistake in the configuration: where it is, and what to do about it.
///
/// Its debug output is its text, since `main` prints that of an error it returns.
pub struct ConfigError {
    at: String,
    problem: String,
    source: Option<BoxError>,
}

impl ConfigError {
    /// `at` names the part (`route "GET /x"`, `pay_to`), `problem` says what was wanted and what came.
    #[must_use]
    pub fn new(at: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { at: at.into(), problem: problem.into(), source: None }
    }

    /// Keeps the error that led to this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same mistake, under the name that the operator wrote it down by.
    #[must_use]
    pub fn moved_to(mut self, at: impl Into<String>) -> Self {
        self.at = at.into();
        self
    }

    /// The part of the configuration that is wrong.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.problem)
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
