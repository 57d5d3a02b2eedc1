//! stub
use super::{AtomicAmount, NetworkId};
use crate::wire::{v1, v2};
use serde_json::{Map, Value};
use std::sync::Arc;
/// One way to pay.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct PriceOption {
    pub scheme: Arc<str>,
    pub network: NetworkId,
    pub asset: Arc<str>,
    pub amount: AtomicAmount,
    pub pay_to: Arc<str>,
    pub max_timeout_seconds: u64,
    pub extra: Arc<Map<String, Value>>,
}
impl PriceOption {
    /// x
    #[must_use]
    pub fn to_v2(&self) -> v2::PaymentRequirements {
        unimplemented!()
    }
    /// x
    #[must_use]
    pub fn to_v1(&self, _: &v2::ResourceInfo) -> Option<v1::PaymentRequirements> {
        unimplemented!()
    }
}
