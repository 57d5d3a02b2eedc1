//! Networks by their CAIP-2 id.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::tokens;

/// A network in CAIP-2 form, such as `eip155:8453`, in the one spelling it has.
///
/// ```
/// use x402_core::price::NetworkId;
///
/// let base: NetworkId = "eip155:8453".parse()?;
/// assert_eq!(base.chain_id(), Some(8453));
/// assert_eq!(base.v1_name(), Some("base"));
/// assert!("eip155:08453".parse::<NetworkId>().is_err());
/// # Ok::<(), x402_core::price::NetworkError>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NetworkId(Arc<str>);

impl NetworkId {
    /// Reads a CAIP-2 id.
    ///
    /// # Errors
    /// [`NetworkError`] when it is a version 1 name, not `namespace:reference`, or an EVM chain id that is
    /// not canonical.
    pub fn new(id: &str) -> Result<Self, NetworkError> {
        check(id)?;
        Ok(Self(id.into()))
    }

    /// The network with this name in protocol version 1.
    #[must_use]
    pub fn from_v1_name(name: &str) -> Option<Self> {
        tokens::network_by_v1_name(name).map(|network| network.id.clone())
    }

    /// The name in protocol version 1, where there is one.
    ///
    /// Not every one may be offered to old clients: see [`Network::in_legacy_enum`](super::Network).
    #[must_use]
    pub fn v1_name(&self) -> Option<&'static str> {
        tokens::known_network(self)?.v1_name.as_deref()
    }

    /// The EVM chain id.
    #[must_use]
    pub fn chain_id(&self) -> Option<u64> {
        self.0.strip_prefix(EVM)?.parse().ok()
    }

    /// Whether this is an EVM chain.
    #[must_use]
    pub fn is_evm(&self) -> bool {
        self.0.starts_with(EVM)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NetworkId {
    type Err = NetworkError;

    fn from_str(id: &str) -> Result<Self, NetworkError> {
        Self::new(id)
    }
}

impl TryFrom<&str> for NetworkId {
    type Error = NetworkError;

    fn try_from(id: &str) -> Result<Self, NetworkError> {
        Self::new(id)
    }
}

impl AsRef<str> for NetworkId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for NetworkId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NetworkId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Self::new(&id).map_err(D::Error::custom)
    }
}

/// Why a text is not a network.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NetworkError {
    /// It is a name of protocol version 1.
    V1Name {
        /// The name.
        name: String,
        /// The id to write instead.
        id: NetworkId,
    },
    /// It is not `namespace:reference`.
    NotCaip2(String),
    /// The chain id is not a plain decimal number from 1 to 2⁵³.
    ChainId(String),
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1Name { name, id } => {
                write!(f, "`{name}` is the network's name in protocol version 1, write `{id}`")
            }
            Self::NotCaip2(text) => {
                write!(f, "`{text}` is not a network in CAIP-2 form such as `eip155:8453`")
            }
            Self::ChainId(text) => {
                write!(f, "`{text}` does not end in a plain decimal chain id such as `eip155:8453`")
            }
        }
    }
}

impl std::error::Error for NetworkError {}

fn check(id: &str) -> Result<(), NetworkError> {
    let not_caip2 = || match NetworkId::from_v1_name(id) {
        Some(known) => NetworkError::V1Name { name: id.to_owned(), id: known },
        None => NetworkError::NotCaip2(id.to_owned()),
    };
    let (namespace, reference) = id.split_once(':').ok_or_else(not_caip2)?;
    let namespace_is_plain =
        namespace.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    // Longer and wider than CAIP-2 allows: genesis hashes circulate whole and in base64.
    let reference_is_plain =
        reference.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+/=".contains(&byte));
    if !(3..=8).contains(&namespace.len())
        || !(1..=64).contains(&reference.len())
        || !namespace_is_plain
        || !reference_is_plain
    {
        return Err(not_caip2());
    }
    if namespace == "eip155" {
        let canonical = reference
            .parse::<u64>()
            .is_ok_and(|chain| (1..=MAX_CHAIN_ID).contains(&chain) && !reference.starts_with(['0', '+']));
        if !canonical {
            return Err(NetworkError::ChainId(id.to_owned()));
        }
    }
    Ok(())
}

const EVM: &str = "eip155:";
/// Larger numbers do not survive JSON.
const MAX_CHAIN_ID: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_ids_are_read() {
        for (id, chain) in [
            ("eip155:1", Some(1)),
            ("eip155:84532", Some(84532)),
            ("eip155:9007199254740992", Some(1 << 53)),
            ("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", None),
            ("algorand:wGHE2Pwdvd7S12BL5FaOP20EGYesN73ktiC1qzkkit8=", None),
            ("stellar:pubnet", None),
        ] {
            let network: NetworkId = id.parse().unwrap();
            assert_eq!(network.chain_id(), chain, "{id}");
            assert_eq!(network.to_string(), id);
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for id in [
            "",
            "eip155",
            "eip155:",
            ":1",
            "eip155:0",
            "eip155:08453",
            "eip155:+1",
            "eip155:0x1",
            "eip155:1e3",
            "eip155:9007199254740993",
            "eip155:*",
            "eip155:1:2",
            "EIP155:1",
            " eip155:1",
            "eip155:1 ",
            "e:1",
            "eip155:١",
            "verylongspace:1",
        ] {
            assert!(NetworkId::new(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn a_v1_name_is_told_its_id() {
        let error = NetworkId::new("base-sepolia").unwrap_err();
        assert!(error.to_string().contains("write `eip155:84532`"), "{error}");
        assert_eq!(NetworkId::from_v1_name("base").unwrap().as_str(), "eip155:8453");
        assert_eq!(NetworkId::from_v1_name("Base"), None);
    }
}
