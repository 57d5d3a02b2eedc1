//! A payer for tests.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use ruint::aliases::U256;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fake_signature;
use crate::{
    price::AtomicAmount,
    scheme::{Eip3009, EvmAddress},
    time::{Clock, SystemClock, UnixSeconds},
    wire::{V1, V2, v1, v2},
};

/// Answers challenges as a stock client does, with the signatures of [`fake_signature`].
///
/// Deterministic: the name decides the address, and each payment of one payer has the next nonce. See the [module
/// docs](super) for an example.
pub struct TestPayer {
    address: EvmAddress,
    clock: Arc<dyn Clock>,
    signed: AtomicU64,
}

impl TestPayer {
    /// The payer of this name, on the system's clock.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let hash = Sha256::new().chain_update(b"x402 test payer\0").chain_update(name).finalize();
        let mut address = [0; 20];
        address.copy_from_slice(&hash[..20]);
        Self { address: EvmAddress::new(address), clock: Arc::new(SystemClock), signed: AtomicU64::new(0) }
    }

    /// Signs windows that begin by this clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Who pays.
    #[must_use]
    pub const fn address(&self) -> EvmAddress {
        self.address
    }

    /// The `PAYMENT-SIGNATURE` header that answers a `PAYMENT-REQUIRED` header. Every call is another payment.
    ///
    /// # Panics
    /// When the header is not a challenge, or offers nothing on an EVM chain.
    #[must_use]
    pub fn pay_v2(&self, payment_required: &[u8]) -> Bytes {
        let json = BASE64_STANDARD.decode(payment_required).expect("PAYMENT-REQUIRED is base64");
        let challenge = serde_json::from_slice(&json).expect("PAYMENT-REQUIRED is a challenge");
        header(&self.answer_v2(&challenge))
    }

    /// The `X-PAYMENT` header that answers a 402's body. Every call is another payment.
    ///
    /// # Panics
    /// When the body is not a challenge, or offers nothing on an EVM chain.
    #[must_use]
    pub fn pay_v1(&self, body: &[u8]) -> Bytes {
        let challenge = serde_json::from_slice(body).expect("the body is a version 1 challenge");
        header(&self.answer_v1(&challenge))
    }

    /// The message behind [`pay_v2`](Self::pay_v2), to be changed before it is [sent](header).
    ///
    /// # Panics
    /// When the challenge offers nothing on an EVM chain.
    #[must_use]
    pub fn answer_v2(&self, challenge: &v2::PaymentRequired) -> v2::PaymentPayload {
        let (accepted, asset, pay_to) = challenge
            .accepts
            .iter()
            .find_map(|option| evm(option, &option.scheme, &option.asset, &option.pay_to))
            .expect("the challenge offers `exact` on an EVM chain");
        let lifetime = Duration::from_secs(accepted.max_timeout_seconds);
        let message = self.authorize(asset, pay_to, amount(&accepted.amount), lifetime);
        v2::PaymentPayload {
            x402_version: V2,
            accepted: accepted.clone(),
            payload: payload(&message),
            resource: Some(challenge.resource.clone()),
            extensions: challenge.extensions.clone(),
        }
    }

    /// The message behind [`pay_v1`](Self::pay_v1), to be changed before it is [sent](header).
    ///
    /// # Panics
    /// When the challenge offers nothing on an EVM chain.
    #[must_use]
    pub fn answer_v1(&self, challenge: &v1::PaymentRequired) -> v1::PaymentPayload {
        let (option, asset, pay_to) = challenge
            .accepts
            .iter()
            .find_map(|option| evm(option, &option.scheme, &option.asset, &option.pay_to))
            .expect("the challenge offers `exact` on an EVM chain");
        let lifetime = Duration::from_secs(option.max_timeout_seconds);
        let message = self.authorize(asset, pay_to, amount(&option.max_amount_required), lifetime);
        v1::PaymentPayload {
            x402_version: V1,
            scheme: option.scheme.clone(),
            network: option.network.clone(),
            payload: payload(&message),
        }
    }

    /// Signs a transfer from this payer with a new nonce, good from the beginning of time until `lifetime` from now.
    #[must_use]
    pub fn authorize(
        &self,
        asset: EvmAddress,
        pay_to: EvmAddress,
        amount: AtomicAmount,
        lifetime: Duration,
    ) -> Eip3009 {
        let message = Eip3009 {
            from: self.address,
            to: pay_to,
            value: amount.get(),
            valid_after: U256::ZERO,
            valid_before: U256::from(self.now().after(lifetime).get()),
            nonce: self.next_nonce(),
            signature: Vec::new(),
        };
        sign(message, asset)
    }

    fn now(&self) -> UnixSeconds {
        self.clock.now()
    }

    fn next_nonce(&self) -> [u8; 32] {
        let count = self.signed.fetch_add(1, Ordering::Relaxed);
        let hash = Sha256::new().chain_update(b"x402 test nonce\0").chain_update(self.address.as_bytes());
        hash.chain_update(count.to_be_bytes()).finalize().into()
    }
}

impl fmt::Debug for TestPayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestPayer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Signs, or signs again, a message that was made or changed by hand.
#[must_use]
pub fn sign(mut message: Eip3009, asset: EvmAddress) -> Eip3009 {
    message.signature = fake_signature(&message, asset).to_vec();
    message
}

/// The `payload` member of a payment that carries `message`.
#[must_use]
pub fn payload(message: &Eip3009) -> Value {
    json!({
        "signature": hex(&message.signature),
        "authorization": {
            "from": message.from.to_string(),
            "to": message.to.to_string(),
            "value": message.value.to_string(),
            "validAfter": message.valid_after.to_string(),
            "validBefore": message.valid_before.to_string(),
            "nonce": hex(&message.nonce),
        },
    })
}

/// The header text of a payment.
///
/// # Panics
/// When the message cannot be written as JSON.
#[must_use]
pub fn header(message: &impl Serialize) -> Bytes {
    let json = serde_json::to_vec(message).expect("a message is JSON");
    BASE64_STANDARD.encode(json).into()
}

fn evm<'a, T>(
    option: &'a T,
    scheme: &str,
    asset: &str,
    pay_to: &str,
) -> Option<(&'a T, EvmAddress, EvmAddress)> {
    let addresses = || Some((asset.parse().ok()?, pay_to.parse().ok()?));
    let (asset, pay_to) = (scheme == "exact").then(addresses)??;
    Some((option, asset, pay_to))
}

fn amount(units: &str) -> AtomicAmount {
    units.parse().expect("an amount in a challenge is a decimal number")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |text, byte| text + &format!("{byte:02x}"))
}
