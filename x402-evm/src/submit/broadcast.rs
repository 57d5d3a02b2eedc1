//! What a node's answer to a transaction means.

use crate::error::ChainError;

/// What is known of a transaction after it was handed to a node.
#[derive(Clone, Debug)]
pub(super) enum Broadcast {
    /// The node took it.
    Accepted,
    /// The node had it already.
    Known,
    /// Another transaction with this nonce was mined.
    NonceUsed,
    /// Another transaction with this nonce waits and pays more.
    NonceOccupied,
    /// It pays less than the node wants.
    TooCheap,
    /// It may burn, cost or weigh more than the node takes.
    TooBig,
    /// The node, or the way to it, says that it was not taken.
    Refused(ChainError),
    /// It may have been taken.
    Unsure(ChainError),
}

impl From<Result<(), ChainError>> for Broadcast {
    fn from(answer: Result<(), ChainError>) -> Self {
        let error = match answer {
            Ok(()) => return Self::Accepted,
            Err(ChainError::Unreachable) => return Self::Refused(ChainError::Unreachable),
            Err(error) => error,
        };
        let ChainError::Refused { message, .. } = &error else { return Self::Unsure(error) };
        let message = message.to_ascii_lowercase();
        let has = |signs: &[&str]| signs.iter().any(|sign| message.contains(sign));
        if has(&[
            "already known",
            "already imported",
            "known transaction",
            "already in the pool",
            "alreadyknown",
        ]) {
            Self::Known
        } else if has(&["nonce too low", "nonce is too low", "old nonce", "invalid nonce"]) {
            Self::NonceUsed
        } else if has(&["replacement", "already exists with"]) {
            Self::NonceOccupied
        } else if has(&["underpriced", "less than block base fee", "fee cap", "fee too low", "basefee"]) {
            Self::TooCheap
        } else if has(&["insufficient funds", "insufficient balance"]) {
            tracing::error!("the account that pays gas is empty");
            Self::Refused(ChainError::Gas("the account that pays gas is empty; send it coins"))
        } else if has(&[
            "exceeds block gas limit",
            "gas limit too high",
            "gas limit is too high",
            "exceeds maximum",
            "configured cap",
            "oversized data",
        ]) {
            Self::TooBig
        } else if has(&["intrinsic gas", "txpool is full", "pool is full", "chain id"]) {
            Self::Refused(error)
        } else {
            // Proxies in front of nodes answer with errors of their own after passing a transaction on.
            Self::Unsure(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(message: &str) -> String {
        let error = ChainError::Refused { code: -32000, message: message.into(), data: None };
        let text = format!("{:?}", Broadcast::from(Err(error)));
        text.split(['(', ' ']).next().unwrap().to_owned()
    }

    #[test]
    fn texts_of_nodes_are_understood() {
        for (message, expected) in [
            ("already known", "Known"),
            ("transaction already imported", "Known"),
            ("nonce too low: next nonce 5, tx nonce 4", "NonceUsed"),
            ("nonce too low", "NonceUsed"),
            ("replacement transaction underpriced", "NonceOccupied"),
            ("transaction underpriced", "TooCheap"),
            ("max fee per gas less than block base fee: address 0x.., maxFeePerGas: 1", "TooCheap"),
            ("insufficient funds for gas * price + value", "Refused"),
            ("Insufficient funds for gas * price + value", "Refused"),
            ("intrinsic gas too low", "Refused"),
            ("exceeds block gas limit", "TooBig"),
            ("tx fee (1.02 ether) exceeds the configured cap (1.00 ether)", "TooBig"),
            ("oversized data: transaction size 131203, limit 131072", "TooBig"),
            ("transaction gas limit too high (cap: 16777216, tx: 20000000)", "TooBig"),
            ("upstream timed out", "Unsure"),
            ("internal error", "Unsure"),
        ] {
            assert_eq!(meaning(message), expected, "{message}");
        }
    }

    #[test]
    fn only_a_connection_that_never_was_is_certain_not_to_have_sent() {
        assert!(matches!(Broadcast::from(Err(ChainError::Unreachable)), Broadcast::Refused(_)));
        assert!(matches!(Broadcast::from(Err(ChainError::Lost("timed out"))), Broadcast::Unsure(_)));
    }
}
