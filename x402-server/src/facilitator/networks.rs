//! The networks that are served, each by the facilitator that is on it.

use std::{fmt, sync::Arc};

use x402_core::{
    error::{ConfigError, RejectReason},
    facilitator::Facilitator,
    price::NetworkId,
    scheme::{ExactEvmStructure, Scheme},
    wire::facilitator::{SupportedKind, SupportedResponse},
};

use super::gauge::{Gas, GasGauge};

/// A network, and who verifies and settles on it.
#[derive(Clone)]
#[must_use = "a network is served once it is given to the service"]
pub struct ServedNetwork {
    pub(super) id: NetworkId,
    pub(super) facilitator: Arc<dyn Facilitator>,
    pub(super) gauge: GasGauge,
    signer: Option<String>,
}

impl ServedNetwork {
    /// A network, and a facilitator that settles on it.
    pub fn new(id: NetworkId, facilitator: impl Facilitator + 'static) -> Self {
        Self { id, facilitator: Arc::new(facilitator), gauge: GasGauge::default(), signer: None }
    }

    /// The account that sends settlements, to be told in `/supported`.
    pub fn signer(mut self, address: impl fmt::Display) -> Self {
        self.signer = Some(address.to_string());
        self
    }

    /// What shows whether there is gas. Without any, the network is served always.
    pub fn gauge(mut self, gauge: GasGauge) -> Self {
        self.gauge = gauge;
        self
    }

    /// Whether payments on it can be settled, as far as gas goes.
    pub(super) fn is_served(&self) -> bool {
        self.gauge.gas() != Gas::Empty
    }
}

/// All of them, in the operator's order.
#[derive(Clone, Debug)]
pub(super) struct Networks(Vec<ServedNetwork>);

impl Networks {
    pub(super) fn new(networks: Vec<ServedNetwork>) -> Result<Self, ConfigError> {
        if networks.is_empty() {
            return Err(ConfigError::new("network", "there is none; a facilitator serves at least one"));
        }
        for (index, network) in networks.iter().enumerate() {
            if networks[..index].iter().any(|other| other.id == network.id) {
                return Err(ConfigError::new(format!("network {}", network.id), "is there twice; keep one"));
            }
        }
        Ok(Self(networks))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ServedNetwork> {
        self.0.iter()
    }

    pub(super) fn by_id(&self, id: &NetworkId) -> Option<&ServedNetwork> {
        self.0.iter().find(|network| network.id == *id)
    }

    /// The scheme of this name on a network.
    pub(super) fn scheme(&self, id: &NetworkId, name: &str) -> Result<Arc<dyn Scheme>, RejectReason> {
        let network = self.by_id(id).ok_or_else(|| RejectReason::Other("invalid_network".into()))?;
        let scheme = network.facilitator.scheme().unwrap_or_else(|| Arc::new(ExactEvmStructure));
        if scheme.name() == name { Ok(scheme) } else { Err(RejectReason::UnsupportedScheme) }
    }

    /// What can be settled at present. A network whose gas ran out, or whose facilitator does not answer, is not told.
    pub(super) async fn supported(&self) -> SupportedResponse {
        let mut all = SupportedResponse::default();
        for network in self.0.iter().filter(|network| network.is_served()) {
            let Ok(kinds) = network.facilitator.supported().await else { continue };
            all.kinds.extend(kinds.into_iter().filter(|kind| is_on(kind, &network.id)));
            if let (Some(signer), Some(family)) = (&network.signer, network.id.as_str().split(':').next()) {
                let signers = all.signers.entry(format!("{family}:*")).or_default();
                if !signers.contains(signer) {
                    signers.push(signer.clone());
                }
            }
        }
        // Version 2 first, as the reference lists them.
        all.kinds.sort_by_key(|kind| std::cmp::Reverse(kind.x402_version.number()));
        all
    }
}

/// A facilitator may know more networks than it is asked for here.
fn is_on(kind: &SupportedKind, network: &NetworkId) -> bool {
    kind.network == network.as_str() || Some(kind.network.as_str()) == network.v1_name()
}

impl fmt::Debug for ServedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedNetwork")
            .field("id", &self.id)
            .field("gas", &self.gauge.gas())
            .finish_non_exhaustive()
    }
}
