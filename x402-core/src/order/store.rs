//! The port for claims, orders, proofs and stored responses: one truth, shared by all instances.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Cursor, Event, Filter, IllegalEdge, KeptPayment, OpenRequest, Order, OwnerToken, Page, StoredResponse,
    Transition, Worker,
};
use crate::{error::BoxError, facilitator::BoxFuture, scheme::PaymentKey, time::UnixSeconds};

/// Keeps orders. Each method is one atomic step; none is retried by the engine without reading back.
///
/// A store fails closed: what it cannot keep as long as it must, it refuses. Instances that share traffic share one.
pub trait OrderStore: Send + Sync {
    /// Creates the order, takes over one that work is left on, or says what is there, as
    /// [`opening`](super::opening) decides. Unique on the payment key. A payment that is not known yet is unique on payer
    /// and payment identifier as well, if it has one: the order that has the identifier is [`Opened::Held`], unless it
    /// [gives it back](super::frees_identifier). For a known payment the identifier is not looked at.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::Unavailable`] the claim may stand, and lapses with its lease.
    ///
    /// # Cancellation
    /// A dropped future may leave a claim, which lapses with its lease.
    fn open<'a>(
        &'a self,
        request: &'a OpenRequest,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Opened, StoreError>>;

    /// Applies an event with [`Order::apply`], if the lease's fence is still the order's. A response that comes
    /// with [`Event::SettleStarted`] or [`Event::ResponseReady`] is kept with it.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when another holder took over or the order was released, [`StoreError::Lapsed`] as
    /// [`Order::admits`] decides, [`StoreError::Illegal`] when the event cannot happen. The order is unchanged then.
    fn advance<'a>(
        &'a self,
        lease: &'a Lease,
        event: &'a Event,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Order, StoreError>>;

    /// Lets the holder work on until `now + by`, even if the lease has lapsed, as long as nobody took over:
    /// [`Order::renew`]. Held up on its way, it never takes back what a later one gave.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when another holder took over or the order was released.
    fn renew<'a>(
        &'a self,
        lease: &'a Lease,
        by: Duration,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The order of a payment, if it is remembered.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn find<'a>(
        &'a self,
        key: &'a PaymentKey,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Option<Order>, StoreError>>;

    /// The response kept for a payment, if it is still there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn response<'a>(
        &'a self,
        key: &'a PaymentKey,
    ) -> BoxFuture<'a, Result<Option<Arc<StoredResponse>>, StoreError>>;

    /// The payment kept for an order that [owes its settlement](Order::owes_settlement); `None` for every other one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn payment<'a>(
        &'a self,
        key: &'a PaymentKey,
    ) -> BoxFuture<'a, Result<Option<Arc<KeptPayment>>, StoreError>>;

    /// Takes over up to `limit` orders that are [due](Order::due), each as [`Order::take_for`] does.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was taken over before then lapses with its lease.
    fn due<'a>(
        &'a self,
        worker: &'a Worker,
        limit: usize,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Vec<(Lease, Order)>, StoreError>>;

    /// How many orders [owe their settlement](Order::owes_settlement), of this payer and of all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn deferred<'a>(&'a self, payer: &'a str) -> BoxFuture<'a, Result<Deferred, StoreError>>;

    /// Orders the filter admits, newest first, at most `limit` of them, from where a page before ended.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn page<'a>(
        &'a self,
        filter: &'a Filter,
        after: Option<Cursor>,
        limit: usize,
        now: UnixSeconds,
    ) -> BoxFuture<'a, Result<Page, StoreError>>;

    /// What happened to an order, oldest first; empty in a store that keeps no history.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn history<'a>(&'a self, key: &'a PaymentKey) -> BoxFuture<'a, Result<Vec<Transition>, StoreError>>;

    /// Forgets what may be forgotten: responses whose time is over, and, in stores that are no permanent record,
    /// orders. The worker calls it now and then.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn tidy(&self, now: UnixSeconds) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], saying why not, without any secret.
    fn ping(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Whether several instances may share it. One that is not shared cannot hold a quote key for many.
    fn is_shared(&self) -> bool;

    /// Whether it may forget an order before its time: at a restart, a flush, a failover. What is presented to such a store
    /// as new may have been settled and delivered before, so an authorization that is found used at the first attempt to settle
    /// it is refused, whoever used it. A permanent record says `false`.
    fn may_forget(&self) -> bool {
        true
    }
}

impl<T: OrderStore + ?Sized> OrderStore for Arc<T> {
    crate::forward_order_store! {
        self => (**self);
        open advance renew find response payment due deferred page history tidy ping is_shared may_forget
    }
}

/// The right to work on an order until it lapses or is released.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The order's payment.
    pub key: PaymentKey,
    /// Who holds it.
    pub owner: OwnerToken,
    /// The order's fence when it was taken; a higher one there means that somebody else took over.
    pub fence: u64,
}

/// Orders whose response may be out and whose money has yet to move.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Deferred {
    /// Of one payer.
    pub of_payer: u64,
    /// Of all payers.
    pub in_total: u64,
}

/// What became of a request to open an order.
#[derive(Clone, Debug)]
pub enum Opened {
    /// It is new, and ours.
    New(Lease, Order),
    /// It was there, nobody held it, and it is ours now. The state is as its last holder left it, except that an
    /// interrupted settlement reads as [`Unresolved`](super::PaymentState::Unresolved).
    Resumed(Lease, Order),
    /// It is not ours; [`judge`](super::judge) tells what that means.
    Held(Order),
}

/// Why a store did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// It did not answer; whether it did what it was asked is unknown.
    Unavailable(BoxError),
    /// It keeps as many live orders as it may.
    Full,
    /// Another holder took the order over, or it was released.
    Overtaken,
    /// The lease ran out before the event that was to begin something: renew it, then begin.
    Lapsed,
    /// The event cannot happen in the order's state.
    Illegal(IllegalEdge),
    /// The transfer that is to settle this order has settled another one.
    TransferTaken,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(_) => f.write_str("order store did not answer"),
            Self::Full => f.write_str("order store is at capacity"),
            Self::Overtaken => f.write_str("order was taken over by another holder"),
            Self::Lapsed => f.write_str("lease ran out before work was begun"),
            Self::Illegal(edge) => edge.fmt(f),
            Self::TransferTaken => f.write_str("transfer has settled another order"),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unavailable(source) => Some(source.as_ref()),
            Self::Illegal(edge) => Some(edge),
            _ => None,
        }
    }
}
