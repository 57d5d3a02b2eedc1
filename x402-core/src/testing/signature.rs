//! Signatures that anybody can make and check: the shape of real ones, without a curve.

use sha2::{Digest, Sha256};

use crate::{
    error::RejectReason,
    price::PriceOption,
    scheme::{
        Authorization, Eip3009, EvmAddress, ExactEvmStructure, Permit2, Proof, Scheme, SignedMessage,
        UptoEvmStructure,
    },
};

/// The one signature that [`FakeSignatures`] takes for `message` in the signing domain of `option`'s token; none where
/// the option is not on an EVM chain.
///
/// It is a hash over the message, the chain and the token, so that whatever is changed after it was signed is noticed.
#[must_use]
pub fn fake_signature(message: &Eip3009, option: &PriceOption) -> Option<[u8; 65]> {
    let chain_id = option.network.chain_id()?;
    let asset: EvmAddress = option.asset.parse().ok()?;
    let mut signature = [27; 65];
    for (part, half) in signature[..64].chunks_exact_mut(32).enumerate() {
        let mut hash = Sha256::new();
        hash.update(b"x402 fake signature v1\0");
        hash.update([u8::try_from(part).expect("a signature has two halves")]);
        hash.update(chain_id.to_be_bytes());
        hash.update(asset.as_bytes());
        hash.update(message.from.as_bytes());
        hash.update(message.to.as_bytes());
        for number in [message.value, message.valid_after, message.valid_before] {
            hash.update(number.to_be_bytes::<32>());
        }
        hash.update(message.nonce);
        half.copy_from_slice(&hash.finalize());
    }
    Some(signature)
}

/// The same for a message to Permit2.
#[must_use]
pub fn fake_permit2_signature(message: &Permit2, option: &PriceOption) -> Option<[u8; 65]> {
    let chain_id = option.network.chain_id()?;
    let unsigned = Permit2 { signature: Vec::new(), ..message.clone() };
    let mut signature = [27; 65];
    for (part, half) in signature[..64].chunks_exact_mut(32).enumerate() {
        let mut hash = Sha256::new();
        hash.update(b"x402 fake signature v1\0permit2\0");
        hash.update([u8::try_from(part).expect("a signature has two halves")]);
        hash.update(chain_id.to_be_bytes());
        hash.update(unsigned.digest());
        half.copy_from_slice(&hash.finalize());
    }
    Some(signature)
}

/// `exact` on EVM chains with the signatures of [`fake_signature`] and [`fake_permit2_signature`]: proves payments of a
/// [`TestPayer`](super::TestPayer) locally, as `x402-evm` proves real ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakeSignatures;

/// The same for `upto`.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakeUptoSignatures;

impl Scheme for FakeSignatures {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn read(&self, payload: &serde_json::Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        ExactEvmStructure::authorization(payload, option)
    }

    fn prove(&self, authorization: &Authorization, option: &PriceOption) -> Result<Proof, RejectReason> {
        prove(authorization, option)
    }
}

impl Scheme for FakeUptoSignatures {
    fn name(&self) -> &'static str {
        "upto"
    }

    fn read(&self, payload: &serde_json::Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        UptoEvmStructure::authorization(payload, option)
    }

    fn prove(&self, authorization: &Authorization, option: &PriceOption) -> Result<Proof, RejectReason> {
        prove(authorization, option)
    }
}

fn prove(authorization: &Authorization, option: &PriceOption) -> Result<Proof, RejectReason> {
    let (signature, wanted) = match &authorization.message {
        SignedMessage::Eip3009(message) => (&message.signature, fake_signature(message, option)),
        SignedMessage::Permit2(message) => (&message.signature, fake_permit2_signature(message, option)),
    };
    let wanted = wanted.ok_or(RejectReason::UnsupportedScheme)?;
    match signature.len() {
        65 if *signature == wanted => Ok(Proof::Signed),
        65 => Err(RejectReason::WrongSignature),
        _ => Err(RejectReason::MalformedSignature),
    }
}
