use std::{error::Error, fmt, io};

/// Why the development chain did not start, or did not do what it was asked to.
#[derive(Debug)]
#[non_exhaustive]
pub enum DevChainError {
    /// A program is not installed, or there is no anvil for this platform; the text says what is needed.
    Missing(String),
    /// The npm packages could not be installed.
    Install(String),
    /// A process or a file of ours failed.
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// anvil ended or stayed silent instead of listening.
    NotListening,
    /// The node could not be reached.
    Http(Box<ureq::Error>),
    /// The node refused a call.
    Rpc {
        /// The JSON-RPC method.
        method: String,
        /// The node's error object, as text.
        error: String,
    },
    /// The node's answer has another shape than expected.
    Answer {
        /// What was asked for.
        wanted: &'static str,
        /// What came, as text.
        got: String,
    },
    /// A transaction sent by the chain itself was not mined in time: is automatic mining off?
    NotMined(String),
    /// A transaction sent by the chain itself was mined and reverted.
    Reverted(String),
    /// `contracts.json` holds no contract of this name.
    UnknownContract(String),
}

impl fmt::Display for DevChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) => f.write_str(what),
            Self::Install(why) => write!(f, "npm ci in tests/interop did not succeed: {why}"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::NotListening => f.write_str("anvil ended or stayed silent before it listened"),
            Self::Http(source) => write!(f, "the development chain did not answer: {source}"),
            Self::Rpc { method, error } => write!(f, "{method} was refused: {error}"),
            Self::Answer { wanted, got } => write!(f, "expected {wanted}, got {got}"),
            Self::NotMined(hash) => write!(f, "transaction {hash} was not mined, is automatic mining off?"),
            Self::Reverted(hash) => write!(f, "transaction {hash} reverted"),
            Self::UnknownContract(name) => write!(f, "no contract named {name} in contracts.json"),
        }
    }
}

impl Error for DevChainError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Http(source) => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl DevChainError {
    /// For `map_err`: an I/O error together with what was being done.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
