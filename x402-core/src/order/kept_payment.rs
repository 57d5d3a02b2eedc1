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

#[cfg(test)]
mod tests {
    use super::*;

    fn payment() -> KeptPayment {
        let resource = ResourceInfo {
            url: "https://api.example.com/weather?city=oslo".into(),
            ..ResourceInfo::default()
        };
        KeptPayment::new(r#"{"payload":{"signature":"0xsecret"}}"#.into(), resource)
    }

    #[test]
    fn debug_output_has_neither_signature_nor_url() {
        assert_eq!(format!("{:?}", payment()), "KeptPayment { bytes: 36, .. }");
    }

    #[test]
    fn a_kept_payment_is_read_as_it_was_written() {
        let document = serde_json::to_string(&payment()).unwrap();
        assert_eq!(serde_json::from_str::<KeptPayment>(&document).unwrap(), payment());
    }
}
