//! Why a chain gave no answer about a payment.

use std::fmt;

use alloy_transport::{RpcError, TransportError, TransportErrorKind};
use x402_core::{
    error::RejectReason,
    facilitator::{SettleError, VerifyError},
};

/// Why nothing can be said of a payment now. Never a statement about the payment, and never names the node's URL.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ChainError {
    /// No connection to the node: nothing was sent.
    Unreachable,
    /// The request was sent, and no readable answer came.
    Lost(&'static str),
    /// The node answered with an error.
    Refused {
        /// JSON-RPC error code.
        code: i64,
        /// The node's text, cut to a sane length.
        message: String,
        /// Revert data, if there was any.
        data: Option<Vec<u8>>,
    },
    /// The configuration does not fit the chain; an operator must look.
    Misconfigured {
        /// The protocol's reason code for it.
        code: &'static str,
        /// What was expected and what the chain has.
        detail: String,
    },
    /// The account that pays gas cannot send now: it is empty, or gas costs more than allowed.
    Gas(&'static str),
    /// The transaction may burn, cost or weigh more than the node takes.
    TooBig,
    /// Something of this process does not keep up or cannot be written.
    Local(&'static str),
}

impl ChainError {
    pub(crate) fn misconfigured(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Misconfigured { code, detail: detail.into() }
    }
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("node cannot be reached"),
            Self::Lost(what) => write!(f, "node gave no answer: {what}"),
            Self::Refused { code, message, .. } => write!(f, "node answered with error {code}: {message}"),
            Self::Misconfigured { code, detail } => write!(f, "{code}: {detail}"),
            Self::TooBig => f.write_str("node takes no transaction that may cost so much"),
            Self::Gas(what) | Self::Local(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for ChainError {}

impl From<TransportError> for ChainError {
    fn from(error: TransportError) -> Self {
        match error {
            RpcError::ErrorResp(payload) => Self::Refused {
                code: payload.code,
                data: payload.as_revert_data().map(|data| data.to_vec()),
                message: payload.message.chars().take(MESSAGE_LIMIT).collect(),
            },
            RpcError::Transport(TransportErrorKind::Custom(fault)) => {
                fault.downcast::<Self>().map_or(Self::Lost("transport failed"), |fault| *fault)
            }
            RpcError::NullResp => Self::Lost("null where a value was wanted"),
            RpcError::DeserError { .. } => Self::Lost("unreadable answer"),
            _ => Self::Lost("transport failed"),
        }
    }
}

impl From<ChainError> for TransportError {
    fn from(error: ChainError) -> Self {
        TransportErrorKind::custom(error)
    }
}

impl From<ChainError> for VerifyError {
    fn from(error: ChainError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A payment that was refused, or a chain that could not tell.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    Rejected(RejectReason),
    Chain(ChainError),
}

impl From<RejectReason> for Refusal {
    fn from(reason: RejectReason) -> Self {
        Self::Rejected(reason)
    }
}

impl From<ChainError> for Refusal {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

impl From<Refusal> for VerifyError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rejected(reason) => Self::Rejected(reason),
            Refusal::Chain(error) => error.into(),
        }
    }
}

/// Nothing was sent yet when one of these comes up in a settlement.
impl From<Refusal> for SettleError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rejected(reason) => Self::Rejected { reason, transaction: None },
            Refusal::Chain(error) => Self::Unavailable(error.into()),
        }
    }
}

const MESSAGE_LIMIT: usize = 200;
