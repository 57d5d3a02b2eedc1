//! Settlements that were done with, so that who asks again is told the same.

use std::time::{Duration, Instant};

use moka::{Expiry, sync::Cache};
use sha2::{Digest, Sha256};
use x402_core::{
    error::RejectReason,
    facilitator::{Payment, Settlement},
    time::UnixSeconds,
};

/// What is remembered. What is forgotten is asked of the chain, which remembers it too.
#[derive(Clone, Debug)]
pub(super) struct Memory(Cache<Key, Kept>);

/// A payment as it was presented, with the terms it was settled for.
pub(super) type Key = [u8; 32];

/// How a settlement ended.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    /// The money moved.
    Settled(Settlement),
    /// A transaction was sent, and it did not.
    Failed {
        /// Why.
        reason: RejectReason,
        /// The transaction.
        transaction: String,
    },
}

#[derive(Clone, Debug)]
struct Kept {
    ended: Ended,
    life: Duration,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MOST).expire_after(ByLife).build())
    }

    pub(super) fn find(&self, key: &Key) -> Option<Ended> {
        self.0.get(key).map(|kept| kept.ended)
    }

    /// Keeps what moved for as long as its authorization could be presented. What failed is kept for a moment: who
    /// repeats themselves burns no gas, and what happens on the chain later is not covered up.
    pub(super) fn keep(&self, key: Key, ended: Ended, valid_before: UnixSeconds, now: UnixSeconds) {
        let left = valid_before.since(now);
        let life = match ended {
            Ended::Settled(_) => left.saturating_add(AFTER_END).min(LONGEST),
            Ended::Failed { .. } => FAILED,
        };
        self.0.insert(key, Kept { ended, life });
    }
}

/// The key of a payment with its terms. Another amount or recipient for the same authorization is another question.
pub(super) fn key(payment: &Payment) -> Key {
    let option = &payment.option;
    let mut hash = Sha256::new();
    hash.update(b"x402 facilitator settlement v1\0");
    hash.update(payment.authorization.key.as_bytes());
    hash.update(payment.authorization.digest);
    let extra = serde_json::to_vec(&option.extra).expect("extra has text for keys");
    let asset = option.asset.to_ascii_lowercase();
    let pay_to = option.pay_to.to_ascii_lowercase();
    for part in [
        option.scheme.as_bytes(),
        option.network.as_str().as_bytes(),
        asset.as_bytes(),
        pay_to.as_bytes(),
        &extra,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    for amount in [option.amount, payment.amount()] {
        hash.update(amount.get().to_be_bytes::<32>());
    }
    hash.finalize().into()
}

/// Each is kept for a time of its own.
struct ByLife;

impl Expiry<Key, Kept> for ByLife {
    fn expire_after_create(&self, _: &Key, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.life)
    }

    fn expire_after_update(&self, _: &Key, kept: &Kept, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(kept.life)
    }
}

/// About 50 MB at the most.
const MOST: u64 = 100_000;
/// Clocks differ, and a caller that lost an answer may come back late.
const AFTER_END: Duration = Duration::from_secs(600);
/// Authorizations without an end are not kept without one.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const FAILED: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use x402_core::{price::PriceOption, testing::TestPayer};

    use super::*;

    fn payment(payer: &TestPayer, change: impl FnOnce(&mut PriceOption)) -> Payment {
        let asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
        let pay_to = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
        let option = PriceOption::new("eip155:84532".parse().unwrap(), asset, 1_000, pay_to);
        let mut payment = payer.payment(&option.signing_domain("USDC", "2"));
        change(&mut payment.option);
        payment
    }

    #[test]
    fn other_terms_are_another_question() {
        type Change = fn(&mut PriceOption);
        let changes: [Change; 6] = [
            |option| option.scheme = "upto".into(),
            |option| option.network = "eip155:8453".parse().unwrap(),
            |option| option.asset = option.pay_to.clone(),
            |option| option.pay_to = option.asset.clone(),
            |option| option.amount = 999.into(),
            |option| option.extra = std::sync::Arc::default(),
        ];
        let same = key(&payment(&TestPayer::new("alice"), |_| {}));
        let lower = |option: &mut PriceOption| option.asset = option.asset.to_lowercase().into();
        assert_eq!(key(&payment(&TestPayer::new("alice"), lower)), same);
        for (index, change) in changes.into_iter().enumerate() {
            assert_ne!(key(&payment(&TestPayer::new("alice"), change)), same, "change {index}");
        }
        assert_ne!(key(&payment(&TestPayer::new("bob"), |_| {})), same);
        let charged = payment(&TestPayer::new("alice"), |_| {}).charging(1.into());
        assert_ne!(key(&charged), same);
    }

    #[test]
    fn what_was_kept_is_found() {
        let memory = Memory::new();
        let settlement =
            Settlement::new("0x1".to_owned(), "eip155:84532".parse().unwrap(), "0xA".to_owned(), 7.into());
        memory.keep([1; 32], Ended::Settled(settlement), UnixSeconds::MAX, UnixSeconds::new(0));
        assert!(matches!(memory.find(&[1; 32]), Some(Ended::Settled(found)) if found.transaction == "0x1"));
        assert!(memory.find(&[2; 32]).is_none());
    }
}
