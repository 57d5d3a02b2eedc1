//! A store that fails as told.

use std::{
    collections::HashMap,
    fmt,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use x402_core::{
    facilitator::BoxFuture,
    order::{
        Deferred, Event, KeptPayment, Lease, MemoryStore, OpenRequest, Opened, Order, OrderStore, StoreError,
        StoredResponse, Worker,
    },
    scheme::PaymentKey,
    time::UnixSeconds,
};

/// A step of a store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    Open,
    Advance,
    Renew,
    Find,
    Response,
    Due,
    Deferred,
    Payment,
    Ping,
}

/// What goes wrong with one step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    None,
    /// It is not done, and not answered.
    Lost,
    /// It is done, and not answered.
    Unanswered,
    /// A response that was kept is forgotten.
    Forgotten,
    /// It is not done, and the call never ends.
    Hangs,
    /// It is done, and the call never ends.
    HangsAfter,
    /// It panics.
    Panics,
}

type Faults = dyn Fn(Step) -> Fault + Send + Sync;

/// A memory store whose steps fail as a function says.
#[derive(Clone)]
pub(crate) struct FaultyStore {
    inner: MemoryStore,
    faults: Arc<Faults>,
    /// Whether it says of itself that it may forget.
    forgets: bool,
    /// The order of each transfer that names its log.
    transfers: Arc<Mutex<HashMap<(String, u64), PaymentKey>>>,
}

impl FaultyStore {
    pub(crate) fn new(faults: impl Fn(Step) -> Fault + Send + Sync + 'static) -> Self {
        Self::over(MemoryStore::new(), faults)
    }

    /// The same orders, with faults of its own.
    pub(crate) fn over(inner: MemoryStore, faults: impl Fn(Step) -> Fault + Send + Sync + 'static) -> Self {
        Self { inner, faults: Arc::new(faults), forgets: true, transfers: Arc::default() }
    }

    /// Says of itself that it forgets nothing, and counts a transfer once.
    pub(crate) fn permanent(self) -> Self {
        Self { forgets: false, ..self }
    }

    /// A store that has one fault at the given steps, whenever the switch is on.
    pub(crate) fn switched(fault: Fault, at: &'static [Step]) -> (Self, Arc<AtomicBool>) {
        let switch = Arc::new(AtomicBool::new(false));
        let on = Arc::clone(&switch);
        let faults =
            move |step| if on.load(Ordering::SeqCst) && at.contains(&step) { fault } else { Fault::None };
        (Self::new(faults), switch)
    }

    /// The store behind the faults.
    pub(crate) const fn honest(&self) -> &MemoryStore {
        &self.inner
    }

    fn is_taken(&self, lease: &Lease, event: &Event) -> bool {
        let Event::SettleOk { settlement } = event else { return false };
        let Some(log_index) = settlement.log_index.filter(|_| !self.forgets) else { return false };
        let transfer = (settlement.transaction.clone(), log_index);
        *self.transfers.lock().unwrap().entry(transfer).or_insert(lease.key) != lease.key
    }

    fn step<'a, T: Send + 'a>(
        &'a self,
        step: Step,
        work: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move {
            let lost = || StoreError::Unavailable("the store is down".into());
            match (self.faults)(step) {
                Fault::Lost => Err(lost()),
                Fault::Unanswered => work.await.and_then(|_| Err(lost())),
                Fault::Hangs => pending().await,
                Fault::HangsAfter => {
                    let _ = work.await;
                    pending().await
                }
                Fault::Panics => panic!("on purpose"),
                Fault::None | Fault::Forgotten => work.await,
            }
        })
    }
}

impl OrderStore for FaultyStore {
    fn open<'a>(
        &'a self,
        request: &'a OpenRequest,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Opened, StoreError>> {
        self.step(Step::Open, self.inner.open(request, now))
    }

    fn advance<'a>(
        &'a self,
        lease: &'a Lease,
        event: &'a Event,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Order, StoreError>> {
        if self.is_taken(lease, event) {
            return Box::pin(async { Err(StoreError::TransferTaken) });
        }
        self.step(Step::Advance, self.inner.advance(lease, event, now))
    }

    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        by: Duration,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        self.step(Step::Renew, self.inner.renew(lease, by, now))
    }

    fn find<'a>(
        &'a self,
        key: &'a PaymentKey,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Option<Order>, StoreError>> {
        self.step(Step::Find, self.inner.find(key, now))
    }

    fn response<'a>(
        &'a self,
        key: &'a PaymentKey,
    ) -> BoxFuture<'a, Result<Option<Arc<StoredResponse>>, StoreError>> {
        Box::pin(async move {
            match (self.faults)(Step::Response) {
                Fault::Lost | Fault::Unanswered => Err(StoreError::Unavailable("the store is down".into())),
                Fault::Forgotten => Ok(None),
                Fault::Hangs | Fault::HangsAfter => pending().await,
                Fault::Panics => panic!("on purpose"),
                Fault::None => self.inner.response(key).await,
            }
        })
    }

    fn payment<'a>(
        &'a self,
        key: &'a PaymentKey,
    ) -> BoxFuture<'a, Result<Option<Arc<KeptPayment>>, StoreError>> {
        self.step(Step::Payment, self.inner.payment(key))
    }

    fn due<'a>(
        &'a self,
        worker: &'a Worker,
        limit: usize,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Vec<(Lease, Order)>, StoreError>> {
        self.step(Step::Due, self.inner.due(worker, limit, now))
    }

    fn deferred<'a>(&'a self, payer: &'a str) -> BoxFuture<'a, Result<Deferred, StoreError>> {
        self.step(Step::Deferred, self.inner.deferred(payer))
    }

    x402_core::forward_order_store!(self => self.inner; page history tidy);

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.step(Step::Ping, self.inner.ping())
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn may_forget(&self) -> bool {
        self.forgets
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
