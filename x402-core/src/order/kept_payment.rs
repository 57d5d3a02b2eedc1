//! A payment kept until it is settled, where the response goes out before.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::wire::v2::ResourceInfo;

/// What it takes to settle a payment whose presentation is over. It holds the signature: a store drops it as soon as
/// [`Order::owes_settlement`](super::Order::owes_settlement) says no. Debug output leaves it out.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KeptPayment {
    /// The message as it was presented.
    pub json: Arc<str>,
    /// What was sold.
    pub resource: ResourceInfo,
}

impl KeptPayment {
    /// A payment to keep.
    #[must_use]
    pub const fn new(json: Arc<str>, resource: ResourceInfo) -> Self {
        Self { json, resource }
    }
}

impl fmt::Debug for KeptPayment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptPayment").field("bytes", &self.json.len()).finish_non_exhaustive()
    }
}
