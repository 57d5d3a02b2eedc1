//! Whether a response may leave before its payment is settled: bounds on what the seller risks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Engine, claim::Claim, pulse::Pulse};
use crate::{
    DeferredLimits, SettleTiming, facilitator::Payment, order::Deferred, price::PriceOption, telemetry,
    time::UnixSeconds,
};

/// What this process knows of deferred settlements beyond what the store counts.
#[derive(Debug)]
pub(super) struct Deferrals {
    limits: DeferredLimits,
    ledger: Mutex<Ledger>,
    episodes: [Pulse; Undeferred::COUNT],
}

#[derive(Debug, Default)]
struct Ledger {
    /// Responses about to leave, which the store may not count yet.
    by_payer: HashMap<Arc<str>, u64>,
    in_total: u64,
    /// Payers whose settlement failed, and until when they are served undeferred and one at a time.
    failed: HashMap<Arc<str>, UnixSeconds>,
    /// Until when everybody is, there being more of them than are remembered.
    all_failed: UnixSeconds,
}

/// Why a route's settlement is not deferred this time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Undeferred {
    /// The payer has as many unsettled responses as it may.
    PayerLimit,
    /// All payers together have.
    TotalLimit,
    /// A settlement of this payer failed lately.
    PayerFailed,
    /// The authorization ends too soon to be settled after the response.
    Expiring,
    /// The worker does not run: nobody would finish what a crash leaves.
    NoWorker,
    /// The store cannot tell how much is on its way.
    Store,
}

impl Undeferred {
    const COUNT: usize = 6;

    const fn as_str(self) -> &'static str {
        match self {
            Self::PayerLimit => "payer_limit",
            Self::TotalLimit => "total_limit",
            Self::PayerFailed => "payer_failed",
            Self::Expiring => "expiring",
            Self::NoWorker => "no_worker",
            Self::Store => "store",
        }
    }
}

/// The right to send one response unsettled, until the store counts it.
#[derive(Debug)]
pub(super) struct Place {
    deferrals: Arc<Deferrals>,
    payer: Arc<str>,
    /// What was on its way in this process before it.
    before: Deferred,
}

impl Engine {
    /// A place among the deferred settlements, if this payment's may be one.
    pub(super) async fn defer(&self, claim: &Claim) -> Option<Place> {
        if claim.settle_first || self.timing(&claim.attempt.rule) != SettleTiming::Deferred {
            return None;
        }
        let refused = match self.place(&claim.payment).await {
            Ok(place) => return Some(place),
            Err(refused) => refused,
        };
        self.tell_unplaced(refused, "settlement not deferred: settling before responses leave");
        None
    }

    /// Counts that a response may not leave unsettled, and tells the operator when that begins.
    pub(super) fn tell_unplaced(&self, refused: Undeferred, what_happens: &'static str) {
        metrics::counter!(telemetry::UNDEFERRED, "reason" => refused.as_str()).increment(1);
        if self.shared.deferrals.episodes[refused as usize].begins(self.shared.clock.now()) {
            tracing::warn!(reason = refused.as_str(), "{what_happens}");
        }
    }

    /// A place among the responses that are out unsettled, if this payer may have one.
    pub(super) async fn place(&self, payment: &Payment) -> Result<Place, Undeferred> {
        let shared = &self.shared;
        let (payer, now) = (&*payment.authorization.payer, shared.clock.now());
        if payment.authorization.valid_before < now.after(time_to_settle(&payment.option)) {
            return Err(Undeferred::Expiring);
        }
        if !shared.pulse.beat_within(shared.settings.lease, now) {
            return Err(Undeferred::NoWorker);
        }
        // Taken before the store is asked: what another request puts there meanwhile is in one of the two counts.
        let place = Deferrals::place(&shared.deferrals, payer, now)?;
        let stored = shared.store.deferred(payer).await.map_err(|error| {
            tracing::debug!(%error, "deferred settlements not counted");
            Undeferred::Store
        })?;
        match beyond(shared.deferrals.limits, stored, place.before) {
            None => Ok(place),
            Some(limit) => Err(limit),
        }
    }
}

impl Deferrals {
    pub(super) fn new(limits: DeferredLimits) -> Arc<Self> {
        Arc::new(Self { limits, ledger: Mutex::default(), episodes: Default::default() })
    }

    /// A settlement of this payer failed.
    pub(super) fn failed(&self, payer: &Arc<str>, now: UnixSeconds) {
        let mut ledger = self.ledger();
        if ledger.failed.len() >= MOST_FAILED {
            ledger.failed.retain(|_, until| *until > now);
        }
        if ledger.failed.len() < MOST_FAILED {
            ledger.failed.insert(Arc::clone(payer), now.after(PENALTY));
        } else {
            ledger.all_failed = now.after(PENALTY);
        }
    }

    /// Whether a settlement of this payer failed lately.
    pub(super) fn failed_lately(&self, payer: &str, now: UnixSeconds) -> bool {
        self.ledger().failed_lately(payer, now)
    }

    fn place(this: &Arc<Self>, payer: &str, now: UnixSeconds) -> Result<Place, Undeferred> {
        let mut ledger = this.ledger();
        if ledger.failed_lately(payer, now) {
            return Err(Undeferred::PayerFailed);
        }
        let payer: Arc<str> = payer.into();
        let of_payer = ledger.by_payer.entry(Arc::clone(&payer)).or_default();
        let before = *of_payer;
        *of_payer += 1;
        ledger.in_total += 1;
        let before = Deferred { of_payer: before, in_total: ledger.in_total - 1 };
        drop(ledger);
        Ok(Place { deferrals: Arc::clone(this), payer, before })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Counts are right after every step, whoever panicked.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn failed_lately(&self, payer: &str, now: UnixSeconds) -> bool {
        self.all_failed > now || self.failed.get(payer).is_some_and(|until| *until > now)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut ledger = self.deferrals.ledger();
        ledger.in_total -= 1;
        if let Some(of_payer) = ledger.by_payer.get_mut(&self.payer) {
            *of_payer -= 1;
            if *of_payer == 0 {
                ledger.by_payer.remove(&self.payer);
            }
        }
    }
}

/// How long an authorization must last when its response leaves unsettled: a settlement may take that, with room to try again.
fn time_to_settle(option: &PriceOption) -> Duration {
    TO_SETTLE.min(Duration::from_secs(option.max_timeout_seconds / 4))
}

/// How long it must last to begin with: payers choose when their authorizations end, and the shorter they do, the less of a
/// stream is paid for.
pub(super) fn time_to_serve(option: &PriceOption) -> Duration {
    Duration::from_secs(option.max_timeout_seconds / 2)
}

/// Which bound one more would be beyond.
fn beyond(limits: DeferredLimits, stored: Deferred, on_the_way: Deferred) -> Option<Undeferred> {
    if stored.of_payer.saturating_add(on_the_way.of_payer) >= limits.per_payer {
        Some(Undeferred::PayerLimit)
    } else if stored.in_total.saturating_add(on_the_way.in_total) >= limits.in_total {
        Some(Undeferred::TotalLimit)
    } else {
        None
    }
}

/// What a settlement may take, with room to try again.
pub(super) const TO_SETTLE: Duration = Duration::from_secs(20);
/// For how long a payer whose settlement failed is served undeferred and one at a time.
const PENALTY: Duration = Duration::from_secs(600);
/// How many such payers are remembered one by one.
const MOST_FAILED: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_000);

    fn deferred(of_payer: u64, in_total: u64) -> Deferred {
        Deferred { of_payer, in_total }
    }

    #[test]
    fn bounds_count_what_the_store_has_and_what_is_on_its_way() {
        let limits = DeferredLimits::default().per_payer(3).in_total(5);
        for (stored, on_the_way, wanted) in [
            (deferred(0, 0), deferred(0, 0), None),
            (deferred(2, 2), deferred(0, 0), None),
            (deferred(2, 2), deferred(1, 1), Some(Undeferred::PayerLimit)),
            (deferred(3, 3), deferred(0, 0), Some(Undeferred::PayerLimit)),
            (deferred(0, 4), deferred(0, 0), None),
            (deferred(0, 4), deferred(0, 1), Some(Undeferred::TotalLimit)),
            (deferred(u64::MAX, u64::MAX), deferred(1, 1), Some(Undeferred::PayerLimit)),
        ] {
            assert_eq!(beyond(limits, stored, on_the_way), wanted, "{stored:?} {on_the_way:?}");
        }
        let none = DeferredLimits::default().in_total(0);
        assert_eq!(beyond(none, deferred(0, 0), deferred(0, 0)), Some(Undeferred::TotalLimit));
    }

    #[test]
    fn a_place_is_given_back() {
        let deferrals = Deferrals::new(DeferredLimits::default());
        let place = |payer| Deferrals::place(&deferrals, payer, NOW).unwrap();
        let (first, second, other) = (place("alice"), place("alice"), place("bob"));
        assert_eq!(
            [first.before, second.before, other.before],
            [deferred(0, 0), deferred(1, 1), deferred(0, 2)]
        );
        drop((first, second));
        assert_eq!(place("alice").before, deferred(0, 1));
        drop(other);
        assert!(deferrals.ledger().by_payer.is_empty());
    }

    #[test]
    fn whoever_let_a_settlement_fail_waits_ten_minutes_and_so_do_all_when_they_are_too_many() {
        let deferrals = Deferrals::new(DeferredLimits::default());
        let refused = |payer, now| Deferrals::place(&deferrals, payer, now).err();
        deferrals.failed(&"mallory".into(), NOW);
        assert_eq!(refused("mallory", NOW), Some(Undeferred::PayerFailed));
        assert_eq!(refused("alice", NOW), None);
        assert_eq!(refused("mallory", NOW.after(PENALTY)), None);
        for number in 0..=MOST_FAILED {
            deferrals.failed(&format!("mallory {number}").into(), NOW);
        }
        assert_eq!(refused("alice", NOW), Some(Undeferred::PayerFailed));
        assert_eq!(refused("alice", NOW.after(PENALTY)), None);
        deferrals.failed(&"mallory".into(), NOW.after(PENALTY));
        assert_eq!(deferrals.ledger().failed.len(), 1, "what is over is forgotten");
    }
}
