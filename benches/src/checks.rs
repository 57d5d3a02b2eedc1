use std::fmt;

use bytes::Bytes;
use secp256k1::{
    Message,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use x402_core::{Admission, Engine, Reply, Triage};

use crate::{CountingScheme, Head, Payments, Race, ready, stateless};

/// Checks of paid requests that remember nothing, beside the recovery of a signer alone.
#[derive(Debug)]
pub struct Checks {
    engine: Engine,
    scheme: CountingScheme,
    recovery: Recovery,
    presented: Vec<(&'static str, Bytes)>,
}

impl Checks {
    /// Makes one payment of each kind.
    #[must_use]
    pub fn new() -> Self {
        let scheme = CountingScheme::default();
        let engine = stateless(scheme.clone());
        let payments = Payments::new(&engine);
        let presented = vec![
            (CHECKED, payments.late()),
            (WRONG_AMOUNT, payments.wrong_amount()),
            (WRONG_RECIPIENT, payments.wrong_recipient()),
            (MALFORMED, payments.malformed()),
            (GARBAGE, payments.garbage()),
        ];
        Self { engine, scheme, recovery: Recovery::new(), presented }
    }

    /// Each check, as a name and what it takes; the status of the answer.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, impl Fn() -> u16)> {
        self.presented.iter().map(|(name, payment)| (*name, || self.present(payment.clone()).status))
    }

    /// The answer to each payment's kind, and how many signatures were recovered for it.
    #[must_use]
    pub fn answers(&self) -> Vec<(&'static str, Reply, usize)> {
        let answer = |(name, payment): &(&'static str, Bytes)| {
            let before = self.scheme.proved();
            let reply = self.present(payment.clone());
            (*name, reply, self.scheme.proved() - before)
        };
        self.presented.iter().map(answer).collect()
    }

    /// The recovery of a signer alone, by libsecp256k1 and by k256.
    #[must_use]
    pub const fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Lets the checks and the recoveries race.
    pub fn race(&self) -> Race<'_> {
        let recoveries = Race::new()
            .runner(NATIVE, || self.recovery.native())
            .runner(PURE, || self.recovery.pure())
            .runner(ANSWER, || self.engine.triage(&Head::unpaid()));
        self.iter().fold(recoveries, |race, (name, run)| race.runner(name, run))
    }

    /// From the head of a paid request to its refusal.
    fn present(&self, payment: Bytes) -> Reply {
        let attempt = match self.engine.triage(&Head::paid(payment)) {
            Triage::Check(attempt) => attempt,
            Triage::Reply(reply) => return reply,
            Triage::Free | Triage::Demand(_) => panic!("the path is priced, before its handler"),
        };
        match ready(self.engine.admit(attempt)) {
            Admission::Reply(reply) => reply,
            Admission::Enter(_) => panic!("none of these payments is good"),
        }
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self::new()
    }
}

/// One signature, to recover its signer from.
pub struct Recovery {
    digest: [u8; 32],
    rs: [u8; 64],
    id: u8,
}

impl Recovery {
    fn new() -> Self {
        let key = secp256k1::SecretKey::from_secret_bytes([7; 32]).expect("the key is one");
        let digest = [42; 32];
        let signature = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &key);
        let (id, rs) = signature.serialize_compact();
        Self { digest, rs, id: id.to_u8() }
    }

    /// By libsecp256k1.
    ///
    /// # Panics
    /// Never: the signature is good.
    #[must_use]
    pub fn native(&self) -> [u8; 65] {
        let id = RecoveryId::from_u8_masked(self.id);
        let signature = RecoverableSignature::from_compact(&self.rs, id).expect("the signature is one");
        let signer = signature.recover_ecdsa(Message::from_digest(self.digest));
        signer.expect("the signature has a signer").serialize_uncompressed()
    }

    /// In pure Rust.
    ///
    /// # Panics
    /// Never: the signature is good.
    #[must_use]
    pub fn pure(&self) -> [u8; 65] {
        use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
        let id = RecoveryId::from_byte(self.id).expect("the id is one");
        let signature = Signature::from_slice(&self.rs).expect("the signature is one");
        let signer = VerifyingKey::recover_from_prehash(&self.digest, &signature, id);
        let point = signer.expect("the signature has a signer").to_sec1_point(false);
        point.as_bytes().try_into().expect("an uncompressed point has 65 bytes")
    }
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recovery(..)")
    }
}

/// The recovery of a signer by libsecp256k1, and nothing else.
pub const NATIVE: &str = "one recovery, libsecp256k1";
/// The same in pure Rust.
pub const PURE: &str = "one recovery, k256";
/// The 402 with which every check here ends.
pub const ANSWER: &str = "the 402 alone";
/// A payment that is good but for its time: all of the check, and its 402.
pub const CHECKED: &str = "whole check and its 402";
/// A payment of another amount.
pub const WRONG_AMOUNT: &str = "wrong amount";
/// A payment to somebody else.
pub const WRONG_RECIPIENT: &str = "wrong recipient";
/// JSON that is no payment.
pub const MALFORMED: &str = "malformed payload";
/// No base64.
pub const GARBAGE: &str = "not base64";
