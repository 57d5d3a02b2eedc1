//! The networks that are served, each by the facilitator that is on it.

use std::{fmt, sync::Arc};

use x402_core::{
    error::{ConfigError, RejectReason},
    facilitator::Facilitator,
    price::NetworkId,
    scheme::{ExactEvmStructure, Scheme, UptoEvmStructure},
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
}

impl ServedNetwork {
    /// A network, and a facilitator that settles on it.
    pub fn new(id: NetworkId, facilitator: impl Facilitator + 'static) -> Self {
        Self { id, facilitator: Arc::new(facilitator), gauge: GasGauge::default() }
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
        let mut schemes = network.facilitator.schemes();
        if schemes.is_empty() {
            schemes = vec![Arc::new(ExactEvmStructure), Arc::new(UptoEvmStructure)];
        }
        schemes.into_iter().find(|scheme| scheme.name() == name).ok_or(RejectReason::UnsupportedScheme)
    }

    /// What can be settled at present. A network whose gas ran out, or whose facilitator does not answer, is not told.
    pub(super) async fn supported(&self) -> SupportedResponse {
        let mut all = SupportedResponse::default();
        for network in self.0.iter().filter(|network| network.is_served()) {
            let Ok(supported) = network.facilitator.supported().await else { continue };
            all.kinds.extend(supported.kinds.into_iter().filter(|kind| is_on(kind, &network.id)));
            for extension in supported.extensions {
                insert(&mut all.extensions, extension);
            }
            for (network, accounts) in supported.signers {
                let signers = all.signers.entry(family(&network)).or_default();
                accounts.into_iter().for_each(|account| insert(signers, account));
            }
        }
        // Version 2 first, as the reference lists them.
        all.kinds.sort_by_key(|kind| std::cmp::Reverse(kind.x402_version.number()));
        all
    }
}

fn insert(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// Signers are told by family, as the reference does.
fn family(network: &str) -> String {
    match network.split_once(':') {
        Some((family, _)) => format!("{family}:*"),
        None => network.to_owned(),
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
