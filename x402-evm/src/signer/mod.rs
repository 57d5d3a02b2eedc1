//! Signing payments, for clients and tests.

mod permit2;

use std::fmt;

use bytes::Bytes;
use serde_json::{Value, json};
use x402_core::{
    price::{NetworkId, PriceOption, TransferMethod},
    scheme::{Eip3009, EvmAddress},
    time::UnixSeconds,
    wire::{V1, V2, header, v1, v2},
};
use zeroize::Zeroizing;

use crate::{
    hex,
    key::{InvalidKey, PrivateKey},
    network::Domain,
    typed_data::{signing_digest, transfer_hash},
};

/// Signs authorizations of EIP-3009 and of Permit2 with a payer's key. Deterministic: the same message has the same signature.
///
/// ```
/// use x402_evm::EvmSigner;
///
/// let signer = EvmSigner::from_hex("0x0000000000000000000000000000000000000000000000000000000000000001")?;
/// assert_eq!(signer.address().to_string(), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
/// # Ok::<(), x402_evm::InvalidKey>(())
/// ```
#[derive(Clone, Debug)]
pub struct EvmSigner(PrivateKey);

impl EvmSigner {
    /// The signer of a key in hexadecimal digits, with or without `0x`.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn from_hex(text: &str) -> Result<Self, InvalidKey> {
        PrivateKey::from_hex(text).map(Self)
    }

    /// The signer of a key.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn from_bytes(key: [u8; 32]) -> Result<Self, InvalidKey> {
        PrivateKey::from_bytes(Zeroizing::new(key)).map(Self)
    }

    /// Who pays.
    #[must_use]
    pub const fn address(&self) -> EvmAddress {
        self.0.address()
    }

    /// Signs what `option` asks for, as it asks for it, and returns the scheme's payload.
    ///
    /// `nonce` must be random ([`random_nonce`]) and used once. Through Permit2 the payer must have approved it before, or
    /// [sign that](Self::approve_permit2), too.
    ///
    /// # Errors
    /// [`Unsignable`]: the option is not one this signer can pay.
    pub fn authorize(
        &self,
        option: &PriceOption,
        window: AuthorizationWindow,
        nonce: [u8; 32],
    ) -> Result<Value, Unsignable> {
        match (&*option.scheme, option.transfer_method()) {
            ("exact", TransferMethod::Eip3009) => self.authorize_eip3009(option, window, nonce),
            ("exact" | "upto", TransferMethod::Permit2) => self.authorize_permit2(option, window, nonce),
            _ => Err(Unsignable("scheme is neither exact nor upto, or its transfer method is not known")),
        }
    }

    fn authorize_eip3009(
        &self,
        option: &PriceOption,
        window: AuthorizationWindow,
        nonce: [u8; 32],
    ) -> Result<Value, Unsignable> {
        let domain =
            Domain::of(option).map_err(|_| Unsignable("network, asset or signing domain is not EVM"))?;
        let message = Eip3009 {
            from: self.address(),
            to: option.pay_to.parse().map_err(|_| Unsignable("payTo is not an EVM address"))?,
            value: option.amount.get(),
            valid_after: ruint::aliases::U256::from(window.valid_after.get()),
            valid_before: ruint::aliases::U256::from(window.valid_before.get()),
            nonce,
            signature: Vec::new(),
        };
        let signature = self.0.sign(&signing_digest(&domain.separator(), &transfer_hash(&message)));
        Ok(json!({
            "signature": hex::prefixed(&signature.to_bytes()),
            "authorization": {
                "from": message.from.to_string(),
                "to": message.to.to_string(),
                "value": message.value.to_string(),
                "validAfter": message.valid_after.to_string(),
                "validBefore": message.valid_before.to_string(),
                "nonce": hex::prefixed(&nonce),
            },
        }))
    }

    /// The `PAYMENT-SIGNATURE` header that pays `accepted`, one of the `accepts` of a 402, which is echoed unchanged.
    ///
    /// # Errors
    /// [`Unsignable`].
    pub fn payment_v2(
        &self,
        accepted: &v2::PaymentRequirements,
        resource: Option<v2::ResourceInfo>,
        now: UnixSeconds,
        nonce: [u8; 32],
    ) -> Result<Bytes, Unsignable> {
        let option = PriceOption::from_v2(accepted).map_err(|_| Unsignable("requirements cannot be read"))?;
        let payload = self.authorize(&option, AuthorizationWindow::from_now(now, &option), nonce)?;
        Ok(header::encode(&v2::PaymentPayload {
            x402_version: V2,
            accepted: accepted.clone(),
            payload,
            resource,
            extensions: None,
        }))
    }

    /// The `X-PAYMENT` header that pays `requirements`, one of the `accepts` of a version 1 body.
    ///
    /// # Errors
    /// [`Unsignable`].
    pub fn payment_v1(
        &self,
        requirements: &v1::PaymentRequirements,
        now: UnixSeconds,
        nonce: [u8; 32],
    ) -> Result<Bytes, Unsignable> {
        let network =
            NetworkId::from_v1_name(&requirements.network).ok_or(Unsignable("network is not known"))?;
        let option = PriceOption::from_v2(&v2::PaymentRequirements {
            scheme: requirements.scheme.clone(),
            network: network.to_string(),
            amount: requirements.max_amount_required.clone(),
            asset: requirements.asset.clone(),
            pay_to: requirements.pay_to.clone(),
            max_timeout_seconds: requirements.max_timeout_seconds,
            extra: requirements.extra.clone(),
        })
        .map_err(|_| Unsignable("requirements cannot be read"))?;
        let payload = self.authorize(&option, AuthorizationWindow::from_now(now, &option), nonce)?;
        Ok(header::encode(&v1::PaymentPayload {
            x402_version: V1,
            scheme: requirements.scheme.clone(),
            network: requirements.network.clone(),
            payload,
        }))
    }
}

/// When an authorization can be settled: after `valid_after` and before `valid_before`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AuthorizationWindow {
    /// The second after which it can be settled; 0 is common.
    pub valid_after: UnixSeconds,
    /// The second from which on it cannot.
    pub valid_before: UnixSeconds,
}

impl AuthorizationWindow {
    /// From any time before now to as far ahead as `option` asks for.
    #[must_use]
    pub const fn from_now(now: UnixSeconds, option: &PriceOption) -> Self {
        let valid_before = UnixSeconds::new(now.get().saturating_add(option.max_timeout_seconds));
        Self { valid_after: UnixSeconds::new(0), valid_before }
    }
}

/// A nonce for one authorization.
///
/// # Panics
/// When the operating system has no randomness to give.
#[must_use]
pub fn random_nonce() -> [u8; 32] {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).expect("the operating system gives randomness");
    nonce
}

/// Why an option cannot be paid with an EVM key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unsignable(&'static str);

impl fmt::Display for Unsignable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unsignable {}
