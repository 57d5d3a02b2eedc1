//! What goes wrong: with the facilitator, the chain, the store and the clock.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use x402_core::{
    error::RejectReason,
    facilitator::{
        BoxFuture, Evidence, Facilitator, Payment, SettleError, Settlement, Transfer, VerifyError, Witness,
    },
    scheme::{PaymentKey, Scheme},
    testing::{EvidenceAnswer, FakeFacilitator, SettleAnswer, VerifyAnswer},
    time::{Clock, UnixSeconds},
    wire::facilitator::SupportedKind,
};

use super::rng::Rng;
use crate::{
    faults::{Fault, FaultyStore, Step},
    support::NOW,
};

/// Facilitator, witness, store and clock of one world. Clones share them.
#[derive(Clone)]
pub(crate) struct Chaos {
    rng: Rng,
    stormy: Arc<AtomicBool>,
    pub(crate) ledger: FakeFacilitator,
    pub(crate) store: FaultyStore,
    pub(crate) clock: StormClock,
    /// Payments whose money may have moved, as far as the server can know.
    unclear: Arc<Mutex<HashSet<PaymentKey>>>,
    pub(crate) witness: bool,
}

/// The simulated time, and how far it has jumped.
#[derive(Clone)]
pub(crate) struct StormClock {
    begun: Instant,
    jumped: Arc<AtomicU64>,
    ahead: Duration,
}

impl Chaos {
    pub(crate) fn new(rng: &Rng) -> Self {
        let stormy = Arc::new(AtomicBool::new(true));
        let clock = StormClock { begun: Instant::now(), jumped: Arc::default(), ahead: Duration::ZERO };
        let mut ledger = FakeFacilitator::new().with_clock(clock.clone());
        if rng.chance(60) {
            ledger = ledger.with_local_proof();
        }
        let store = {
            let (rng, stormy) = (rng.clone(), Arc::clone(&stormy));
            let faulty = *rng.pick(&[0, 0, 4, 15]);
            FaultyStore::new(move |step| match step {
                _ if !stormy.load(Ordering::Relaxed) || !rng.chance(faulty) => Fault::None,
                Step::Response => *rng.pick(&[Fault::Lost, Fault::Forgotten]),
                _ => *rng.pick(&[Fault::Lost, Fault::Unanswered]),
            })
        };
        let witness = rng.chance(70);
        Self { rng: rng.clone(), stormy, ledger, store, clock, unclear: Arc::default(), witness }
    }

    /// From now on nothing fails.
    pub(crate) fn calm(&self) {
        self.stormy.store(false, Ordering::Relaxed);
    }

    pub(crate) fn jump(&self, by: Duration) {
        self.clock.jumped.fetch_add(by.as_secs(), Ordering::Relaxed);
    }

    /// How far the clock has jumped so far.
    pub(crate) fn jumped(&self) -> u64 {
        self.clock.jumped.load(Ordering::Relaxed)
    }

    /// Whether asking for another payment in place of this one could make its payer pay twice.
    pub(crate) fn may_be_paid(&self, key: &PaymentKey) -> bool {
        self.ledger.settlement(key).is_some() || self.unclear.lock().unwrap().contains(key)
    }

    fn is_stormy(&self, percent: u64) -> bool {
        self.stormy.load(Ordering::Relaxed) && self.rng.chance(percent)
    }

    async fn take_time(&self) {
        let most = if self.stormy.load(Ordering::Relaxed) { 40 } else { 1 };
        sleep(Duration::from_millis(5) + self.rng.seconds(0, most)).await;
    }

    /// The transaction that nobody heard of is mined after all.
    fn settle_later(&self, payment: &Payment) {
        let (ledger, payment, after) = (self.ledger.clone(), payment.clone(), self.rng.seconds(1, 100));
        tokio::spawn(async move {
            sleep(after).await;
            ledger.next_settle(SettleAnswer::Honest);
            let _ = ledger.settle(&payment).await;
        });
    }
}

impl Facilitator for Chaos {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        Box::pin(async move {
            self.take_time().await;
            self.ledger.next_verify(match self.is_stormy(20) {
                true if self.rng.chance(50) => VerifyAnswer::Unavailable,
                true => VerifyAnswer::Reject(RejectReason::InsufficientFunds),
                false => VerifyAnswer::Honest,
            });
            self.ledger.verify(payment).await
        })
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        Box::pin(async move {
            let key = payment.authorization.key;
            let sent_before = !self.unclear.lock().unwrap().insert(key);
            self.take_time().await;
            let answer = match self.rng.between(0, 9) {
                _ if !self.is_stormy(60) => SettleAnswer::Honest,
                0..3 => SettleAnswer::Unresolved { moved: true },
                3..5 => SettleAnswer::Unresolved { moved: false },
                5..7 => SettleAnswer::Unavailable,
                7 => SettleAnswer::Reject(RejectReason::SimulationFailed),
                8 => SettleAnswer::Reject(RejectReason::InsufficientFunds),
                _ => SettleAnswer::Honest,
            };
            if matches!(answer, SettleAnswer::Unresolved { moved: false }) && self.rng.chance(60) {
                self.settle_later(payment);
            }
            self.ledger.next_settle(answer);
            let settled = self.ledger.settle(payment).await;
            if matches!(settled, Err(SettleError::Rejected { .. })) && !sent_before {
                self.unclear.lock().unwrap().remove(&key);
            }
            settled
        })
    }

    fn supported(&self) -> BoxFuture<'_, Result<Vec<SupportedKind>, VerifyError>> {
        self.ledger.supported()
    }

    fn scheme(&self) -> Option<Arc<dyn Scheme>> {
        self.ledger.scheme()
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        self.witness.then(|| Arc::new(self.clone()) as _)
    }
}

impl Witness for Chaos {
    fn evidence<'a>(&'a self, transfer: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>> {
        Box::pin(async move {
            self.take_time().await;
            self.ledger.next_evidence(match self.is_stormy(40) {
                true => EvidenceAnswer::Unavailable,
                false => EvidenceAnswer::Honest,
            });
            let evidence = self.ledger.evidence(transfer).await;
            if let Ok(Evidence::Dead(_)) = evidence {
                self.unclear.lock().unwrap().remove(&transfer.key);
            }
            evidence
        })
    }
}

impl StormClock {
    /// The clock of an instance that runs a few seconds ahead.
    pub(crate) fn ahead(&self, seconds: u64) -> Self {
        Self { ahead: Duration::from_secs(seconds), ..self.clone() }
    }
}

impl Clock for StormClock {
    fn now(&self) -> UnixSeconds {
        let jumped = Duration::from_secs(self.jumped.load(Ordering::Relaxed));
        UnixSeconds::new(NOW).after(self.begun.elapsed()).after(jumped).after(self.ahead)
    }
}
