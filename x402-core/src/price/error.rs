//! Why a price cannot be asked.

use std::fmt;

use super::{AddressError, AmountError, NetworkError, NetworkId};

/// Why a price cannot be turned into ways to pay. In a table it surfaces when the table is built.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PriceError {
    /// There is no way to pay.
    Empty,
    /// There are more ways to pay than one 402 can list.
    TooMany(usize),
    /// The amount cannot be read.
    Amount {
        /// What was written.
        text: String,
        /// What is wrong with it.
        error: AmountError,
    },
    /// The text is not a price in dollars.
    NotDollars(String),
    /// The amount is zero. Free routes are written with `free`.
    Zero,
    /// The network is not written as one.
    Network(NetworkError),
    /// Nothing is known about the network, and no token was added for it.
    UnknownNetwork(NetworkId),
    /// Payments on this kind of network cannot be taken.
    UnsupportedNetwork(NetworkId),
    /// There is no address to pay to on the network.
    NoRecipient(NetworkId),
    /// There is no address to pay to on any network.
    NoRecipients,
    /// The network has no token that dollars are asked in.
    NoDefaultAsset(NetworkId),
    /// The network's table has no such token.
    UnknownToken {
        /// The network.
        network: NetworkId,
        /// The symbol or address that was asked for.
        token: String,
    },
    /// The recipient or the token is not an address, or one to keep away from.
    Address(AddressError),
    /// The recipient is the token's own contract, which would keep the money.
    PaysTheToken(String),
    /// The name and version of the token's signing domain are not known.
    NoSigningDomain(String),
    /// The token cannot be moved as is asked for.
    TransferMethod(String),
    /// The scheme is not one that can be checked.
    Scheme(String),
    /// The facilitator does not list such payments.
    NobodySettles {
        /// The scheme.
        scheme: String,
        /// The network.
        network: NetworkId,
    },
    /// The facilitator takes less than was authorized, and does not say by which account.
    NoFacilitatorAddress(NetworkId),
    /// The time a payer is given is outside 10 to 3600 seconds.
    Timeout(u64),
    /// The same way to pay is listed twice.
    Duplicate(NetworkId),
    /// A dynamic price stands beside others, or answers with another dynamic price.
    NestedDynamic,
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the price has no way to pay"),
            Self::TooMany(options) => write!(f, "the price has {options} ways to pay, more than 16"),
            Self::Amount { text, error } => write!(f, "`{text}`: {error}"),
            Self::NotDollars(text) => write!(f, "`{text}` is not a price such as `$0.01`"),
            Self::Zero => f.write_str("the price is zero; write a free route with `free`"),
            Self::Network(error) => error.fmt(f),
            Self::UnknownNetwork(network) => {
                write!(f, "`{network}` is not a known network; add its token with `token`")
            }
            Self::UnsupportedNetwork(network) => {
                write!(f, "`{network}` is not an EVM network (`eip155:..`), and only those are supported")
            }
            Self::NoRecipient(network) => write!(f, "`{network}` has no recipient; add it with `pay_to`"),
            Self::NoRecipients => f.write_str("there is no recipient; add one with `pay_to`"),
            Self::NoDefaultAsset(network) => {
                write!(f, "`{network}` has no default token; name one with `Price::token`")
            }
            Self::UnknownToken { network, token } => {
                write!(f, "`{token}` is not a known token of `{network}`; add it with `token`")
            }
            Self::Address(error) => error.fmt(f),
            Self::PaysTheToken(address) => {
                write!(f, "the recipient `{address}` is the token's contract, which would keep the money")
            }
            Self::NoSigningDomain(token) => {
                write!(f, "the signing domain of `{token}` is not known; give its name and version")
            }
            Self::TransferMethod(token) => {
                write!(
                    f,
                    "`{token}` cannot be moved that way: `exact` knows EIP-3009 and Permit2, `upto` Permit2"
                )
            }
            Self::Scheme(scheme) => write!(f, "scheme `{scheme}` is not supported; use `exact` or `upto`"),
            Self::NobodySettles { scheme, network } => {
                write!(f, "the facilitator does not list {scheme} on {network} in /supported")
            }
            Self::NoFacilitatorAddress(network) => {
                write!(f, "the facilitator lists upto on {network} without its facilitatorAddress")
            }
            Self::Timeout(seconds) => write!(f, "{seconds} seconds to pay in is not within 10 to 3600"),
            Self::Duplicate(network) => write!(f, "a token of `{network}` is asked for twice"),
            Self::NestedDynamic => f.write_str("a dynamic price stands alone and answers with fixed ones"),
        }
    }
}

impl std::error::Error for PriceError {}

impl From<NetworkError> for PriceError {
    fn from(error: NetworkError) -> Self {
        Self::Network(error)
    }
}

impl From<AddressError> for PriceError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}
