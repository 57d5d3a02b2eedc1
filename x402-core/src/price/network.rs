//! stub
use std::sync::Arc;
/// Network.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct NetworkId(Arc<str>);
impl NetworkId {
    /// x
    #[must_use]
    pub fn chain_id(&self) -> Option<u64> {
        self.0.strip_prefix("eip155:")?.parse().ok()
    }
    /// x
    #[must_use]
    pub fn v1_name(&self) -> Option<&'static str> {
        None
    }
    /// x
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl std::fmt::Display for NetworkId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
