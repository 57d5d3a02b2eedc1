//! Several facilitators in order.

mod assignments;
mod member;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::{
    assignments::{Assignments, Ended},
    member::Member,
};
use super::{
    BoxFuture, Facilitator, Payment, SettleError, Settlement, VerifyError, Witness,
    supported::{cannot_be_asked, not_listed},
};
use crate::{
    error::{BoxError, ConfigError},
    price::PriceOption,
    scheme::{PaymentKey, Scheme},
    telemetry,
    time::{Clock, SystemClock},
    wire::{
        X402Version,
        facilitator::{SupportedKind, SupportedResponse},
    },
};

/// Several facilitators: the first one that settles a kind of payment is asked, and the next one while it is unavailable.
///
/// ```
/// use x402_core::{facilitator::Failover, testing::FakeFacilitator};
///
/// let (cheap, other) = (FakeFacilitator::new(), FakeFacilitator::new());
/// let facilitator = Failover::new(cheap).or(other);
/// ```
///
/// # Who is asked
///
/// Those that list the payment's version, scheme and network, in order; then those that have not said yet what they
/// support. One whose own data contradicts the terms, such as another account in `facilitatorAddress`, is not asked: the
/// payment was made for another one. A facilitator that is [left alone](super::BreakerLimits) after faults is
/// unavailable at once, so that the next one costs no time.
///
/// A verification goes on to the next one when nobody could tell. A refusal is an answer, and final.
///
/// # A payment is with one at a time
///
/// Once a payment was handed to a facilitator for settlement, nobody else gets it before its outcome is known, or its
/// authorization is over: not when the answer was lost, and not when the facilitator cannot be reached any more. Only where
/// nothing was sent ([`SettleError::Unavailable`]) and nothing had been sent before, or where the facilitator refused,
/// the payment is free again; in the first case the next one is asked at once. This is remembered for up to 100 000 payments;
/// past that no payment is handed over until others are over.
///
/// A restart forgets it, and other instances do not know it. Then the first one that works is asked for an order whose
/// settlement has an unknown outcome. That is safe for the money, since the authorization's nonce lets it move
/// once; but only a [`Witness`] can tell then that another facilitator had moved it. Give the engine one.
///
/// The schemes are those of all of them, and of one name that of the first; the witness is that of the first that has one.
#[derive(Clone)]
#[must_use]
pub struct Failover {
    members: Vec<Member>,
    assignments: Arc<Mutex<Assignments>>,
    clock: Arc<dyn Clock>,
}

impl Failover {
    /// The facilitator that is asked first.
    pub fn new(first: impl Facilitator + 'static) -> Self {
        Self {
            members: vec![Member::new(Arc::new(first))],
            assignments: Arc::new(Mutex::new(Assignments::new(CAPACITY))),
            clock: Arc::new(SystemClock),
        }
    }

    /// The one that is asked next.
    pub fn or(mut self, next: impl Facilitator + 'static) -> Self {
        self.members.push(Member::new(Arc::new(next)));
        self
    }

    /// The clock, for tests.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn candidates(&self, payment: &Payment) -> Vec<usize> {
        let supports: Vec<_> = self.members.iter().map(|member| member.supports(payment)).collect();
        let order = member::order(&supports);
        if order.is_empty() {
            let (scheme, network) = (&*payment.option.scheme, payment.option.network.as_str());
            tracing::error!(scheme, network, "no facilitator settles such payments");
        }
        order
    }

    async fn verify_in_turn(&self, payment: &Payment) -> Result<(), VerifyError> {
        let mut last = nobody();
        for member in self.candidates(payment) {
            match self.members[member].facilitator.verify(payment).await {
                Err(VerifyError::Unavailable(error)) => {
                    went_on("verify", member, &error);
                    last = error;
                }
                answer => return answer,
            }
        }
        Err(VerifyError::Unavailable(last))
    }

    async fn settle_in_turn(&self, payment: &Payment) -> Result<Settlement, SettleError> {
        let key = payment.authorization.key;
        let holder = self.assignments().member(&key, self.clock.now());
        let order = self.candidates(payment);
        let others = order.into_iter().filter(|member| Some(*member) != holder);
        let mut last = nobody();
        for member in holder.into_iter().chain(others) {
            let handed = Handed::over(self, payment, member)?;
            let answer = self.members[handed.member].facilitator.settle(payment).await;
            let ended = match &answer {
                Err(SettleError::Unavailable(_)) => Ended::NotSent,
                Err(SettleError::Rejected { .. }) => Ended::Refused,
                Ok(_) | Err(SettleError::Unresolved { .. }) => Ended::Sent,
            };
            let member = handed.member;
            let free = handed.ended(ended);
            match answer {
                Err(SettleError::Unavailable(error)) if free => {
                    went_on("settle", member, &error);
                    last = error;
                }
                answer => return answer,
            }
        }
        Err(SettleError::Unavailable(last))
    }

    /// What all of them support, told in their order; what a facilitator wants in the terms is that of the first. Of
    /// extensions those that each of them knows, the silent ones included: any may get any payment.
    async fn all_supported(&self) -> Result<SupportedResponse, VerifyError> {
        let mut all: Option<SupportedResponse> = None;
        let mut last = None;
        for member in &self.members {
            match member.learn().await {
                Ok(supported) => {
                    let all = all.get_or_insert_with(|| SupportedResponse {
                        extensions: supported.extensions.clone(),
                        ..Default::default()
                    });
                    all.extensions.retain(|key| supported.extensions.contains(key));
                    add(all, &supported);
                }
                Err(error) => {
                    tracing::warn!(%error, "facilitator did not say what it supports");
                    last = Some(Box::new(error));
                }
            }
        }
        match (all, last) {
            (Some(mut all), silent) => {
                if silent.is_some() {
                    all.extensions.clear();
                }
                Ok(all)
            }
            (None, last) => {
                Err(VerifyError::Unavailable(last.map_or_else(nobody, |error| error as BoxError)))
            }
        }
    }

    async fn one_covers_each(&self, options: &[PriceOption]) -> Result<(), ConfigError> {
        let mut left: Vec<_> = options.to_vec();
        let mut problem = None;
        for member in &self.members {
            let supported = match member.learn().await {
                Ok(supported) => supported,
                Err(error) => {
                    problem.get_or_insert(cannot_be_asked(error));
                    continue;
                }
            };
            let lists = |option: &PriceOption| {
                supported.kind(X402Version::V2, &option.scheme, &option.network).is_some()
            };
            let (listed, mut missing): (Vec<_>, Vec<_>) = left.into_iter().partition(lists);
            if let Err(error) = member.facilitator.preflight(&listed).await {
                problem.get_or_insert(error);
                for option in listed {
                    if member.facilitator.preflight(std::slice::from_ref(&option)).await.is_err() {
                        missing.push(option);
                    }
                }
            }
            left = missing;
        }
        match (left.first(), problem) {
            (None, _) => Ok(()),
            (Some(_), Some(problem)) => Err(problem),
            (Some(option), None) => Err(not_listed(option)),
        }
    }

    fn assignments(&self) -> MutexGuard<'_, Assignments> {
        self.assignments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facilitator for Failover {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        Box::pin(self.verify_in_turn(payment))
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        Box::pin(self.settle_in_turn(payment))
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        Box::pin(self.all_supported())
    }

    /// Checks that at least one of them could settle each option.
    fn preflight<'a>(&'a self, options: &'a [PriceOption]) -> BoxFuture<'a, Result<(), ConfigError>> {
        Box::pin(self.one_covers_each(options))
    }

    /// Of one name the first counts.
    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        self.members.iter().flat_map(|member| member.facilitator.schemes()).collect()
    }

    fn proves_settlement(&self) -> bool {
        self.members.iter().all(|member| member.facilitator.proves_settlement())
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        self.members.iter().find_map(|member| member.facilitator.witness())
    }
}

impl fmt::Debug for Failover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failover").field("members", &self.members.len()).finish_non_exhaustive()
    }
}

/// A payment in the hands of one facilitator. Dropped, it may have been sent.
struct Handed<'a> {
    failover: &'a Failover,
    key: PaymentKey,
    member: usize,
    over: bool,
}

impl<'a> Handed<'a> {
    fn over(failover: &'a Failover, payment: &Payment, member: usize) -> Result<Self, SettleError> {
        let (key, now) = (payment.authorization.key, failover.clock.now());
        let handed = failover.assignments().hand_over(key, member, payment.authorization.valid_before, now);
        let member = handed.map_err(|_| SettleError::Unavailable(FULL.into()))?;
        Ok(Self { failover, key, member, over: false })
    }

    /// Whether another one may have it.
    fn ended(mut self, ended: Ended) -> bool {
        self.over = true;
        self.failover.assignments().ended(&self.key, ended)
    }
}

impl Drop for Handed<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.failover.assignments().ended(&self.key, Ended::Sent);
        }
    }
}

fn went_on(call: &'static str, member: usize, error: &BoxError) {
    tracing::warn!(call, facilitator = member + 1, %error, "facilitator unavailable, asking the next one");
    metrics::counter!(telemetry::FAILOVERS, "call" => call).increment(1);
}

/// Adds the kinds of payments and the accounts of another one behind those that are known.
fn add(all: &mut SupportedResponse, more: &SupportedResponse) {
    for kind in &more.kinds {
        let same = |known: &&SupportedKind| {
            known.x402_version == kind.x402_version
                && known.scheme == kind.scheme
                && known.network == kind.network
        };
        if !all.kinds.iter().any(|known| same(&known)) {
            all.kinds.push(kind.clone());
        }
    }
    for (network, accounts) in &more.signers {
        let known = all.signers.entry(network.clone()).or_default();
        known.extend(accounts.iter().filter(|account| !known.contains(account)).cloned().collect::<Vec<_>>());
    }
}

fn nobody() -> BoxError {
    NOBODY.into()
}

const NOBODY: &str = "no facilitator settles such payments";
const FULL: &str = "too many settlements of unknown outcome";
/// About 100 bytes each.
const CAPACITY: usize = 100_000;
