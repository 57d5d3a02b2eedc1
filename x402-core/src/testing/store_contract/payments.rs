//! Payments that come for their handler, and what a store must keep of those that were paid.

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};

use super::claims::at_once;
use crate::{
    facilitator::Settlement,
    order::{
        DeliveryState, Event, Lease, OpenRequest, Opened, Order, OrderId, OrderStore, OwnerToken,
        PaymentState, RequestFingerprint, StoreError, StoredResponse, Terms,
    },
    price::{AtomicAmount, NetworkId, PriceOption},
    scheme::PaymentKey,
    time::{Clock, SystemClock, UnixSeconds},
};

/// Payments that no other test has, and a store to present them to.
#[derive(Clone)]
pub struct Payments {
    /// The store.
    pub store: Arc<dyn OrderStore>,
    /// When the test began.
    pub now: UnixSeconds,
    salt: [u8; 16],
}

impl Payments {
    /// Payments for this store.
    ///
    /// # Panics
    /// When the operating system has no random bytes.
    #[must_use]
    pub fn new(store: Arc<dyn OrderStore>) -> Self {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).expect("the operating system has random bytes");
        Self { store, now: SystemClock.now(), salt }
    }

    /// The first presentation of the payment with this number: of its own payer, with a lease of `LEASE`, to be
    /// remembered for `MEMORY`.
    #[must_use]
    pub fn request(&self, number: u32) -> OpenRequest {
        let address: [u8; 20] = *self.bytes("payer", number).first_chunk().expect("32 bytes have 20");
        let network = NetworkId::new("eip155:84532").expect("a network");
        let amount = AtomicAmount::from(10_000_u64);
        let option = PriceOption::new(network, ASSET, amount, PAY_TO);
        OpenRequest {
            id: OrderId::new(self.random("order", number)),
            key: PaymentKey::of_payer(&address, self.bytes("key", number)),
            payment_id: None,
            fingerprint: RequestFingerprint::from_bytes(self.random("request", number)),
            digest: self.random("digest", number),
            nonce: self.bytes("nonce", number),
            valid_before: self.now.after(MEMORY / 2),
            provenance: None,
            terms: Arc::new(Terms::new("GET /weather/{city}".into(), option)),
            payer: crate::scheme::EvmAddress::new(address).to_string().into(),
            owner: OwnerToken::new(self.random("owner", number)),
            lease: LEASE,
            keep_until: self.now.after(MEMORY),
        }
    }

    /// The same presentation by another holder.
    #[must_use]
    pub fn again(&self, request: &OpenRequest, holder: u32) -> OpenRequest {
        let (id, owner) = (self.random("another order", holder), self.random("another owner", holder));
        OpenRequest { id: OrderId::new(id), owner: OwnerToken::new(owner), ..request.clone() }
    }

    /// The same payment, presented for another request.
    #[must_use]
    pub fn elsewhere(&self, request: &OpenRequest) -> OpenRequest {
        let fingerprint = RequestFingerprint::from_bytes(self.random("another request", 0));
        OpenRequest { fingerprint, ..self.again(request, u32::MAX) }
    }

    /// Opens, and expects a new order.
    pub async fn create(&self, request: &OpenRequest) -> (Lease, Order) {
        match self.store.open(request, self.now).await {
            Ok(Opened::New(lease, order)) => (lease, order),
            other => panic!("wanted a new order, got {other:?}"),
        }
    }

    /// Opens at `now`, and expects to go on with an order that is there.
    pub async fn resume(&self, request: &OpenRequest, now: UnixSeconds) -> (Lease, Order) {
        match self.store.open(request, now).await {
            Ok(Opened::Resumed(lease, order)) => (lease, order),
            other => panic!("wanted to resume an order, got {other:?}"),
        }
    }

    /// Opens at `now`, and expects that the order is somebody else's.
    pub async fn held(&self, request: &OpenRequest, now: UnixSeconds) -> Order {
        match self.store.open(request, now).await {
            Ok(Opened::Held(order)) => order,
            other => panic!("wanted a held order, got {other:?}"),
        }
    }

    /// Reports events that must be possible.
    pub async fn report(&self, lease: &Lease, events: impl IntoIterator<Item = Event>) -> Order {
        let mut last = None;
        for event in events {
            let advanced = self.store.advance(lease, &event, self.now).await;
            last = Some(advanced.unwrap_or_else(|error| panic!("{event:?}: {error:?}")));
        }
        last.expect("at least one event is reported")
    }

    /// Opens a new order and leads it to a settlement that succeeded, with a kept response or without.
    pub async fn settle(&self, request: &OpenRequest, response: Option<StoredResponse>) -> (Lease, Order) {
        let (lease, _) = self.create(request).await;
        let response = response.map(Arc::new);
        let begun = [Event::VerifyOk, Event::HandlerStarted, Event::SettleStarted { response }];
        self.report(&lease, begun).await;
        let order = self.report(&lease, [self.settled(request)]).await;
        (lease, order)
    }

    /// The event of a settlement that succeeded.
    #[must_use]
    pub fn settled(&self, request: &OpenRequest) -> Event {
        let option = &request.terms.option;
        let settlement = Settlement::new(
            format!("0x{}", request.key),
            option.network.clone(),
            request.payer.to_string(),
            option.amount,
        );
        Event::SettleOk { settlement: Arc::new(settlement) }
    }

    /// The order as the store has it.
    pub async fn find(&self, request: &OpenRequest) -> Order {
        self.found(request, self.now).await.expect("the order is remembered")
    }

    /// The order as the store has it at `now`, if it does.
    pub async fn found(&self, request: &OpenRequest, now: UnixSeconds) -> Option<Order> {
        self.store.find(&request.key, now).await.expect("the store answers")
    }

    /// The second in which a lease taken when the test began has lapsed.
    #[must_use]
    pub fn lapsed(&self) -> UnixSeconds {
        self.now.after(LEASE)
    }

    fn bytes(&self, what: &str, number: u32) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.salt)
            .chain_update(number.to_be_bytes())
            .chain_update(what)
            .finalize()
            .into()
    }

    fn random(&self, what: &str, number: u32) -> [u8; 16] {
        *self.bytes(what, number).first_chunk().expect("32 bytes have 16")
    }
}

impl std::fmt::Debug for Payments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payments").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Whether an answer says that the lease is not good any more.
pub(super) fn is_overtaken<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Overtaken))
}

/// A settled order whose holder vanished before delivery is resumed, by one of fifty who come for it at once.
pub async fn a_settled_undelivered_order_is_resumed_by_one_of_50(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    payments.settle(&request, None).await;
    let opened = at_once(&payments, 50, payments.lapsed(), |holder| payments.again(&request, holder)).await;
    let mut resumed = 0;
    for opened in opened {
        match opened {
            Opened::Resumed(_, order) => {
                assert!(order.is_settled());
                assert_eq!(order.state.delivery, DeliveryState::Errored, "a lost run is to be repeated");
                resumed += 1;
            }
            Opened::Held(order) => assert!(order.is_settled()),
            Opened::New(..) => panic!("a settled order was forgotten"),
        }
    }
    assert_eq!(resumed, 1);
}

/// An order that was delivered is nobody's any more.
pub async fn a_delivered_order_stays_held(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.settle(&request, None).await;
    payments.report(&lease, [Event::Delivered]).await;
    for now in [payments.now, payments.lapsed(), payments.now.after(MEMORY * 2)] {
        let order = payments.held(&payments.again(&request, 1), now).await;
        assert_eq!(order.state.delivery, DeliveryState::Delivered);
    }
}

/// Who comes for an order whose settlement was interrupted must find out what became of it.
pub async fn an_interrupted_settlement_is_resumed_as_unresolved(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    let response = Some(Arc::new(response()));
    payments
        .report(&lease, [Event::VerifyOk, Event::HandlerStarted, Event::SettleStarted { response }])
        .await;
    let (_, order) = payments.resume(&payments.again(&request, 1), payments.lapsed()).await;
    assert_eq!(order.state.payment, PaymentState::Unresolved);
    assert_eq!(order.state.delivery, DeliveryState::Ready, "the kept response is still there");
}

/// A handler whose holders vanish runs as often as one that fails.
pub async fn the_handler_runs_at_most_three_times_unpaid(store: Arc<dyn OrderStore>) {
    let payments = Payments::new(store);
    let request = payments.request(0);
    let (lease, _) = payments.create(&request).await;
    payments.report(&lease, [Event::VerifyOk, Event::HandlerStarted]).await;
    let mut now = payments.now;
    for holder in 1..3 {
        now = now.after(LEASE);
        let (lease, order) = payments.resume(&payments.again(&request, holder), now).await;
        assert_eq!(order.state.payment, PaymentState::Verified);
        payments.store.advance(&lease, &Event::HandlerStarted, now).await.expect("attempts are left");
    }
    payments.held(&payments.again(&request, 3), now.after(LEASE)).await;
}

/// A response with two headers.
pub(super) fn response() -> StoredResponse {
    let headers = vec![("content-type".into(), "text/plain".into()), ("x-units".into(), "celsius".into())];
    StoredResponse::new(200, headers, "sunny".into())
}

/// How long a lease runs that nobody renews.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// How long an order is to be remembered.
pub(super) const MEMORY: Duration = Duration::from_secs(600);
const ASSET: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
const PAY_TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
