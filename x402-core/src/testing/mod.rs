//! Fakes, a deterministic payer and the suite for stores: what it takes to test a paywall without a chain.
//!
//! [`TestPayer`] answers challenges with signatures that anybody can check, [`FakeFacilitator`] takes exactly those,
//! moves imaginary money and fails as it is told, [`FakeClock`] stands still until it is moved.
//!
//! ```
//! use x402_core::testing::{FakeFacilitator, SettleAnswer, TestPayer};
//!
//! let facilitator = FakeFacilitator::new().with_local_proof();
//! let alice = TestPayer::new("alice");
//!
//! // Give a clone to the engine, then ask the paywall, pay what it asks, and look at the ledger.
//! let challenge = r#"{"x402Version":1,"accepts":[{"scheme":"exact","network":"base-sepolia",
//!     "maxAmountRequired":"10000","resource":"https://api.example.com/weather","payTo":"0x1111111111111111111111111111111111111111",
//!     "maxTimeoutSeconds":60,"asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e"}]}"#;
//! let header = alice.pay_v1(challenge.as_bytes());
//! assert!(!header.is_empty());
//! assert_eq!(facilitator.transfers().len(), 0);
//!
//! // The next settlement moves the money and loses the answer.
//! facilitator.next_settle(SettleAnswer::Unresolved { moved: true });
//! ```

mod clock;
mod facilitator;
mod payer;
mod signature;
pub mod store_contract;

pub use self::{
    clock::FakeClock,
    facilitator::{EvidenceAnswer, FakeFacilitator, SettleAnswer, VerifyAnswer},
    payer::{TestPayer, header, payload, permit2_payload, sign},
    signature::{FakeSignatures, FakeUptoSignatures, fake_permit2_signature, fake_signature},
};
pub use crate::entropy::predictable;
