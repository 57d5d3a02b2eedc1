//! The shared store: rows behind a network that loses questions and answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};
use x402_core::{
    facilitator::BoxFuture,
    order::{
        Cursor, Deferred, Event, Filter, KeptPayment, Lease, OpenRequest, Opened, Opening, Order, OrderStore,
        OwnerToken, Page, PaymentState, StoreError, StoredResponse, Transition, Worker, opening,
    },
    scheme::PaymentKey,
    time::UnixSeconds,
};

use crate::{
    process::Process,
    world::{Memory, World, short},
};

/// What the store keeps. Its steps are the pure functions that every store shares.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    pub(crate) orders: BTreeMap<PaymentKey, Row>,
    responses: BTreeMap<PaymentKey, Arc<StoredResponse>>,
    payments: BTreeMap<PaymentKey, Arc<KeptPayment>>,
    transfers: BTreeMap<String, PaymentKey>,
    /// Whose kept responses are forgotten.
    pub(crate) lost_responses: BTreeSet<PaymentKey>,
}

#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) order: Order,
    owner: OwnerToken,
    /// The fence under which each server last began to run its handler.
    runs: BTreeMap<usize, u64>,
    /// When somebody else took the order over although its holder, under this fence, had not let go of it.
    pub(crate) lapses: Vec<(Instant, u64)>,
}

impl Rows {
    fn open(&mut self, request: &OpenRequest, now: UnixSeconds) -> Opened {
        let existing = self.orders.get_mut(&request.key);
        let living = existing.filter(|row| now < row.order.keep_until);
        let lease = |order: &Order| Lease { key: request.key, owner: request.owner, fence: order.fence };
        match (opening(living.as_deref().map(|row| &row.order), request, now), living) {
            (Opening::TakeOver, Some(row)) => {
                row.lapsed();
                row.order.take_over(request, now);
                row.owner = request.owner;
                Opened::Resumed(lease(&row.order), row.order.clone())
            }
            (Opening::Held, Some(row)) => Opened::Held(row.order.clone()),
            _ => {
                let before = self.orders.get(&request.key);
                let fence = before.map_or(1, |row| row.order.fence + 1);
                let lapses = before.map_or(Vec::new(), |row| row.lapses.clone());
                let order = Order::opened(request, fence, now);
                let runs = before.map_or(BTreeMap::new(), |row| row.runs.clone());
                let row = Row { order: order.clone(), owner: request.owner, runs, lapses };
                self.orders.insert(request.key, row);
                Opened::New(lease(&order), order)
            }
        }
    }

    fn advance(&mut self, lease: &Lease, event: &Event, now: UnixSeconds) -> Result<Order, StoreError> {
        let row = self.held(lease)?;
        row.order.admits(lease.fence, event, now)?;
        let mut order = row.order.clone();
        order.apply(event, now).map_err(StoreError::Illegal)?;
        if let Event::SettleOk { settlement } = event {
            let settles = *self.transfers.entry(settlement.transaction.clone()).or_insert(lease.key);
            if settles != lease.key {
                return Err(StoreError::TransferTaken);
            }
        }
        if let Some(payment) = event.payment() {
            self.payments.insert(lease.key, Arc::clone(payment));
        } else if !order.owes_settlement() {
            self.payments.remove(&lease.key);
        }
        if let Some(response) = event.response() {
            self.responses.insert(lease.key, Arc::clone(response));
        }
        self.held(lease)?.order = order.clone();
        Ok(order)
    }

    fn renew(&mut self, lease: &Lease, by: Duration, now: UnixSeconds) -> Result<(), StoreError> {
        self.held(lease)?.order.renew(lease.fence, by, now)
    }

    fn held(&mut self, lease: &Lease) -> Result<&mut Row, StoreError> {
        let row = self.orders.get_mut(&lease.key).filter(|row| row.owner == lease.owner);
        row.ok_or(StoreError::Overtaken)
    }

    fn find(&self, key: &PaymentKey, now: UnixSeconds) -> Option<Order> {
        Some(self.orders.get(key)?.order.clone()).filter(|order| now < order.keep_until)
    }

    fn due(&mut self, worker: &Worker, limit: usize, now: UnixSeconds) -> Vec<(Lease, Order)> {
        let living = self.orders.values_mut().filter(|row| now < row.order.keep_until);
        let due = living.filter(|row| row.order.due().is_some_and(|due| due <= now));
        let take = |row: &mut Row| {
            row.lapsed();
            row.owner = worker.owner;
            (row.order.take_for(worker, now), row.order.clone())
        };
        due.take(limit).map(take).collect()
    }

    fn deferred(&self, payer: &str) -> Deferred {
        let orders = self.payments.keys().filter_map(|key| self.orders.get(key));
        let of_payer = orders.filter(|row| *row.order.payer == *payer).count();
        Deferred { of_payer: of_payer as u64, in_total: self.payments.len() as u64 }
    }

    fn begins(&mut self, server: usize, key: &PaymentKey) {
        if let Some(row) = self.orders.get_mut(key) {
            row.runs.insert(server, row.order.fence);
        }
    }

    /// Under which fence a server runs the handler.
    pub(crate) fn fence_of_run(&self, server: usize, key: &PaymentKey) -> Option<u64> {
        self.orders.get(key)?.runs.get(&server).copied()
    }

    /// A response is forgotten, as caches do.
    pub(crate) fn forget_response(&mut self, number: u64) {
        let number = usize::try_from(number).unwrap() % self.responses.len().max(1);
        if let Some(key) = self.responses.keys().nth(number).copied() {
            self.responses.remove(&key);
            self.lost_responses.insert(key);
        }
    }

    fn tidy(&mut self, now: UnixSeconds) {
        self.orders.retain(|_, row| now < row.order.keep_until);
    }
}

impl Row {
    /// To be called before it is taken over.
    fn lapsed(&mut self) {
        if self.order.leased_until.is_some() {
            self.lapses.push((Instant::now(), self.order.fence));
        }
    }
}

/// The way from one process to the store.
#[derive(Clone)]
pub(crate) struct StoreLine {
    pub(crate) world: Arc<World>,
    pub(crate) process: Arc<Process>,
}

/// What happens to a question, and to its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    None,
    /// It does not arrive.
    Lost,
    /// It is done, and the answer does not arrive.
    Unanswered,
    /// It is done after the asker was told that there is no answer.
    Late,
}

impl StoreLine {
    /// One step: `work` is done at once, at some time after it was asked for.
    async fn step<T: Send + 'static>(
        &self,
        of: Option<&PaymentKey>,
        what: impl FnOnce() -> String + Send,
        work: impl FnOnce(&mut Rows) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let world = &self.world;
        let lost = || Err(StoreError::Unavailable("no answer".into()));
        self.process.pass().await;
        self.travel(of).await;
        let stands = world.store_stands_until();
        if stands > Instant::now() {
            self.is_late(of, stands - Instant::now());
            sleep_until(stands).await;
        }
        let fault = match world.strikes(world.climate.store_faults) {
            true => *world.rng.pick(&[Fault::Lost, Fault::Unanswered, Fault::Late]),
            false => Fault::None,
        };
        let answer = match fault {
            Fault::None => work(&mut world.rows()),
            Fault::Lost => lost(),
            Fault::Unanswered => work(&mut world.rows()).and_then(|_| lost()),
            Fault::Late => {
                let (world, after) = (Arc::clone(world), world.rng.seconds(0, 40));
                tokio::spawn(async move {
                    sleep(after).await;
                    let _ = work(&mut world.rows());
                });
                lost()
            }
        };
        world.tell(format_args!("s{}", self.process.server), || {
            let answered = answer.as_ref().map_or_else(ToString::to_string, |_| "ok".to_owned());
            format!("{} {fault:?} -> {answered}", what())
        });
        if fault != Fault::None {
            let silence = world.rng.seconds(0, 5);
            self.is_late(of, silence);
            sleep(silence).await;
        }
        if world.is_stormy() {
            self.travel(of).await;
        }
        self.process.pass().await;
        answer
    }

    /// The store hears of an order later than it should.
    fn is_late(&self, of: Option<&PaymentKey>, length: Duration) {
        if of.is_some() {
            self.process.is_troubled(of.copied(), length);
        }
    }

    async fn travel(&self, of: Option<&PaymentKey>) {
        let world = &self.world;
        let most = if world.strikes(2) { 20 } else { 0 };
        let trip = Duration::from_millis(world.rng.between(0, 4)) + world.rng.seconds(0, most);
        if most > 0 {
            self.is_late(of, trip);
        }
        sleep(trip).await;
    }
}

impl OrderStore for StoreLine {
    fn open<'a>(
        &'a self,
        request: &'a OpenRequest,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Opened, StoreError>> {
        let asked = request.clone();
        Box::pin(self.step(
            Some(&request.key),
            move || format!("open {}", short(&request.key)),
            move |rows| Ok(rows.open(&asked, now)),
        ))
    }

    fn advance<'a>(
        &'a self,
        lease: &'a Lease,
        event: &'a Event,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Order, StoreError>> {
        let (held, happened, server) = (lease.clone(), event.clone(), self.process.server);
        let what = move || format!("advance {} #{} {}", short(&lease.key), lease.fence, name(event));
        Box::pin(async move {
            let work = move |rows: &mut Rows| {
                let advanced = rows.advance(&held, &happened, now)?;
                if let Event::HandlerStarted = happened {
                    rows.begins(server, &held.key);
                }
                Ok(advanced)
            };
            let advanced = self.step(Some(&lease.key), what, work).await;
            if let Ok(order) = &advanced
                && order.state.payment == PaymentState::Unresolved
            {
                self.world.count("left without an outcome");
            }
            advanced
        })
    }

    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        by: Duration,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let held = lease.clone();
        let what = move || format!("renew {} #{}", short(&lease.key), lease.fence);
        Box::pin(self.step(Some(&lease.key), what, move |rows| rows.renew(&held, by, now)))
    }

    fn find<'a>(
        &'a self,
        key: &'a PaymentKey,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Option<Order>, StoreError>> {
        let wanted = *key;
        Box::pin(self.step(
            Some(key),
            move || format!("find {}", short(key)),
            move |rows| Ok(rows.find(&wanted, now)),
        ))
    }

    fn response<'a>(
        &'a self,
        key: &'a PaymentKey,
    ) -> BoxFuture<'a, Result<Option<Arc<StoredResponse>>, StoreError>> {
        let wanted = *key;
        Box::pin(self.step(
            Some(key),
            move || format!("response {}", short(key)),
            move |rows| Ok(rows.responses.get(&wanted).cloned()),
        ))
    }

    fn payment<'a>(
        &'a self,
        key: &'a PaymentKey,
    ) -> BoxFuture<'a, Result<Option<Arc<KeptPayment>>, StoreError>> {
        let wanted = *key;
        Box::pin(self.step(
            Some(key),
            move || format!("payment {}", short(key)),
            move |rows| Ok(rows.payments.get(&wanted).cloned()),
        ))
    }

    fn due<'a>(
        &'a self,
        worker: &'a Worker,
        limit: usize,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Vec<(Lease, Order)>, StoreError>> {
        let worker = *worker;
        Box::pin(self.step(None, || "due".to_owned(), move |rows| Ok(rows.due(&worker, limit, now))))
    }

    fn deferred<'a>(&'a self, payer: &'a str) -> BoxFuture<'a, Result<Deferred, StoreError>> {
        let wanted = payer.to_owned();
        Box::pin(self.step(None, || "deferred".to_owned(), move |rows| Ok(rows.deferred(&wanted))))
    }

    fn page<'a>(
        &'a self,
        _: &'a Filter,
        _: Option<Cursor>,
        _: usize,
        _: UnixSeconds,
    ) -> BoxFuture<'a, Result<Page, StoreError>> {
        Box::pin(async { Err(StoreError::Unavailable("nobody looks here".into())) })
    }

    fn history<'a>(&'a self, _: &'a PaymentKey) -> BoxFuture<'a, Result<Vec<Transition>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn tidy(&self, now: UnixSeconds) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.step(
            None,
            || "tidy".to_owned(),
            move |rows| {
                rows.tidy(now);
                Ok(())
            },
        ))
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn may_forget(&self) -> bool {
        self.world.climate.memory != Memory::Permanent
    }
}

/// An event without what comes with it.
fn name(event: &Event) -> String {
    let shown = format!("{event:?}");
    shown.split([' ', '{']).next().unwrap_or_default().to_owned()
}
