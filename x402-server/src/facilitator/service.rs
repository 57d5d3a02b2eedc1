//! The service: who asks what, and how much of it at once.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use x402_core::{
    error::ConfigError,
    facilitator::{Asked, Payment, SettleError, Settlement, VerifyError},
    time::{Clock, SystemClock},
    wire::facilitator::{FacilitatorRequest, SupportedResponse},
};

use super::{
    answer::{Answer, Dialect},
    callers::Callers,
    memory::{Ended, Memory, key},
    networks::{Networks, ServedNetwork},
    telemetry,
};

/// A facilitator's service, over any facilitators; see the [module docs](super). Clones are the same service.
#[derive(Clone)]
pub struct FacilitatorService(Arc<Inner>);

struct Inner {
    networks: Networks,
    callers: Callers,
    memory: Memory,
    verifying: Semaphore,
    settling: Arc<Semaphore>,
    /// How many of each at once.
    most: u32,
    closed: AtomicBool,
    clock: Arc<dyn Clock>,
}

/// Options of a [`FacilitatorService`].
#[must_use = "a builder does nothing until it builds"]
pub struct FacilitatorServiceBuilder {
    networks: Vec<ServedNetwork>,
    callers: Callers,
    most: u32,
    clock: Arc<dyn Clock>,
}

impl FacilitatorService {
    /// A service without networks yet, for everybody.
    pub fn builder() -> FacilitatorServiceBuilder {
        FacilitatorServiceBuilder {
            networks: Vec::new(),
            callers: Callers::everybody(),
            most: 256,
            clock: Arc::new(SystemClock),
        }
    }

    /// Takes no more work, and waits until what was begun is done with. Tells whether it was, in time.
    pub async fn drain(&self, within: Duration) -> bool {
        self.0.closed.store(true, Ordering::SeqCst);
        timeout(within, self.0.settling.acquire_many(self.0.most)).await.is_ok()
    }

    /// Whether it takes no more work.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }

    pub(super) fn networks(&self) -> &Networks {
        &self.0.networks
    }

    pub(super) fn callers(&self) -> &Callers {
        &self.0.callers
    }

    pub(super) async fn supported(&self) -> SupportedResponse {
        self.0.networks.supported().await
    }

    pub(super) async fn verify(&self, request: &FacilitatorRequest<'_>) -> Answer {
        let dialect = Dialect::of(&request.payment_requirements);
        let payment = match self.payment(Asked::Verify, request) {
            Ok(payment) => payment,
            Err(unasked) => return counted(VERIFY, NO_NETWORK, dialect.not_verified(unasked)),
        };
        let dialect = dialect.about(&payment);
        let network = self.network(&payment);
        let label = network.id.as_str();
        if self.is_closed() {
            return counted(VERIFY, label, closing());
        }
        if !network.is_served() {
            let empty = format!("{label} is not served at present: its gas account is empty");
            return counted(VERIFY, label, Answer::busy(empty, AFTER_REFILL));
        }
        let Ok(_turn) = self.0.verifying.try_acquire() else { return counted(VERIFY, label, full()) };
        let began = Instant::now();
        let verified = timeout(VERIFY_WITHIN, network.facilitator.verify(&payment)).await;
        let verified =
            verified.unwrap_or_else(|_| Err(VerifyError::Unavailable("not verified in time".into())));
        telemetry::took(VERIFY, label, began.elapsed());
        counted(VERIFY, label, dialect.verified(verified, &payment.authorization.payer))
    }

    pub(super) async fn settle(&self, request: &FacilitatorRequest<'_>) -> Answer {
        let dialect = Dialect::of(&request.payment_requirements);
        let payment = match self.payment(Asked::Settle, request) {
            Ok(payment) => payment,
            Err(unasked) => return counted(SETTLE, NO_NETWORK, dialect.not_settled(unasked)),
        };
        let dialect = dialect.about(&payment);
        let label = self.network(&payment).id.clone();
        let label = label.as_str();
        let payer = payment.authorization.payer.clone();
        if let Some(ended) = self.0.memory.find(&key(&payment)) {
            return counted(SETTLE, label, dialect.settled(ended.into(), &payer));
        }
        let Ok(turn) = Arc::clone(&self.0.settling).try_acquire_owned() else {
            return counted(SETTLE, label, if self.is_closed() { closing() } else { full() });
        };
        // Looked at with the turn in hand: who drains either sees the turn, or is seen.
        if self.is_closed() {
            return counted(SETTLE, label, closing());
        }
        let began = Instant::now();
        // In a task of its own: a caller that hangs up changes nothing.
        let settling = tokio::spawn(self.clone().settle_to_the_end(payment, turn));
        let Ok(settled) = settling.await else {
            let unknown =
                SettleError::Unresolved { transaction: None, source: "settlement broke off".into() };
            return counted(SETTLE, label, dialect.settled(Err(unknown), &payer));
        };
        telemetry::took(SETTLE, label, began.elapsed());
        counted(SETTLE, label, dialect.settled(settled, &payer))
    }

    async fn settle_to_the_end(
        self,
        payment: Payment,
        turn: OwnedSemaphorePermit,
    ) -> Result<Settlement, SettleError> {
        let network = self.network(&payment);
        let settled = network.facilitator.settle(&payment).await;
        let ended = match &settled {
            Ok(settlement) => {
                let (transaction, network) = (settlement.transaction.as_str(), network.id.as_str());
                tracing::info!(transaction, network, "payment settled");
                Some(Ended::Settled(settlement.clone()))
            }
            Err(SettleError::Rejected { reason, transaction: Some(transaction) }) => {
                tracing::warn!(%transaction, network = %network.id, %reason, "settlement failed on the chain");
                Some(Ended::Failed { reason: reason.clone(), transaction: transaction.clone() })
            }
            Err(_) => None,
        };
        if let Some(ended) = ended {
            let (valid_before, now) = (payment.authorization.valid_before, self.0.clock.now());
            self.0.memory.keep(key(&payment), ended, valid_before, now);
        }
        drop(turn);
        settled
    }

    fn payment(
        &self,
        asked: Asked,
        request: &FacilitatorRequest<'_>,
    ) -> Result<Payment, x402_core::facilitator::Unasked> {
        Payment::asked(asked, request, |network, scheme| self.0.networks.scheme(network, scheme))
    }

    fn network(&self, payment: &Payment) -> &ServedNetwork {
        self.0
            .networks
            .by_id(&payment.option.network)
            .expect("a payment has the scheme of a network that is served")
    }
}

impl FacilitatorServiceBuilder {
    /// Serves this network too.
    pub fn network(mut self, network: ServedNetwork) -> Self {
        self.networks.push(network);
        self
    }

    /// Who may have payments verified and settled. Everybody by default.
    pub fn callers(mut self, callers: Callers) -> Self {
        self.callers = callers;
        self
    }

    /// How many payments are verified at once, and how many settled; more are told to come back. Default 256 each.
    pub fn max_in_flight(mut self, most: u32) -> Self {
        self.most = most;
        self
    }

    /// What time it is, for tests.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The service.
    ///
    /// # Errors
    /// [`ConfigError`] when no network is served or one twice, or nothing at once.
    pub fn build(self) -> Result<FacilitatorService, ConfigError> {
        if self.most == 0 {
            return Err(ConfigError::new("max_in_flight", "is 0; nothing would be done"));
        }
        let most = self.most as usize;
        Ok(FacilitatorService(Arc::new(Inner {
            networks: Networks::new(self.networks)?,
            callers: self.callers,
            memory: Memory::new(),
            verifying: Semaphore::new(most),
            settling: Arc::new(Semaphore::new(most)),
            most: self.most,
            closed: AtomicBool::new(false),
            clock: self.clock,
        })))
    }
}

impl From<Ended> for Result<Settlement, SettleError> {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Settled(settlement) => Ok(settlement),
            Ended::Failed { reason, transaction } => {
                Err(SettleError::Rejected { reason, transaction: Some(transaction) })
            }
        }
    }
}

fn counted(endpoint: &'static str, network: &str, answer: Answer) -> Answer {
    telemetry::asked(endpoint, network, answer.outcome());
    answer
}

fn full() -> Answer {
    Answer::busy("too many payments at once", 1)
}

fn closing() -> Answer {
    Answer::busy("shutting down", 1)
}

/// A request that is not one.
pub(super) fn malformed(endpoint: &'static str, status: StatusCode, error: impl Into<String>) -> Answer {
    counted(endpoint, NO_NETWORK, Answer::fault(status, error))
}

impl fmt::Debug for FacilitatorService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { networks, callers, .. } = &*self.0;
        f.debug_struct("FacilitatorService")
            .field("networks", networks)
            .field("callers", callers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FacilitatorServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FacilitatorServiceBuilder")
            .field("networks", &self.networks)
            .field("callers", &self.callers)
            .finish_non_exhaustive()
    }
}

pub(super) const VERIFY: &str = "verify";
pub(super) const SETTLE: &str = "settle";
const NO_NETWORK: &str = "none";
const VERIFY_WITHIN: Duration = Duration::from_secs(20);
/// An operator needs a while.
const AFTER_REFILL: u8 = 60;
