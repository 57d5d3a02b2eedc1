use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use crate::Missing;

/// Why a service did not start, or did not do what it was asked to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ServiceError {
    /// A program is not installed; the text says what installs it.
    Missing(Missing),
    /// A process or a file of ours failed.
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The service ended instead of listening.
    Ended {
        /// Which program.
        program: &'static str,
        /// The end of what it wrote.
        log: String,
    },
    /// Something did not come about in time.
    TooLate {
        /// What was waited for.
        waited_for: &'static str,
        /// For how long.
        limit: Duration,
        /// How things stood at the end.
        last: String,
    },
    /// The service is stopped, or was killed.
    NotRunning(&'static str),
    /// The service refused a command.
    Refused {
        /// The command's first words.
        command: String,
        /// What the service said.
        answer: String,
    },
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) => what.fmt(f),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::Ended { program, log } => write!(f, "{program} ended before it listened: {log}"),
            Self::TooLate { waited_for, limit, last } => {
                write!(f, "waited {} s in vain for {waited_for}: {last}", limit.as_secs())
            }
            Self::NotRunning(program) => write!(f, "{program} is not running"),
            Self::Refused { command, answer } => write!(f, "{command} was refused: {answer}"),
        }
    }
}

impl Error for ServiceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl ServiceError {
    /// For `map_err`: an I/O error together with what was being done.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source: Arc::new(source) }
    }
}
