//! Payments to present to a store.

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};

use crate::{
    facilitator::Settlement,
    order::{
        Event, KeptPayment, Lease, OpenRequest, Opened, Order, OrderId, OrderStore, OwnerToken, Provenance,
        QuoteMark, RequestFingerprint, StoreError, StoredResponse, Terms, Verifier, Worker,
    },
    price::{AtomicAmount, NetworkId, PriceOption},
    quote::BindingLevel,
    scheme::PaymentKey,
    time::{Clock, SystemClock, UnixSeconds},
    wire::v2::ResourceInfo,
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
        Self::with_salt(store, salt)
    }

    /// The same payments for the same salt.
    pub(crate) fn with_salt(store: Arc<dyn OrderStore>, salt: [u8; 16]) -> Self {
        Self { store, now: SystemClock.now(), salt }
    }

    /// The first presentation of the payment with this number: of its own payer, with a lease of `LEASE`, to be
    /// remembered for `MEMORY`.
    #[must_use]
    pub fn request(&self, number: u32) -> OpenRequest {
        self.request_of(number, number)
    }

    /// The same for a payment of the payer with this number.
    #[must_use]
    pub fn request_of(&self, payer: u32, number: u32) -> OpenRequest {
        let address: [u8; 20] = *self.bytes("payer", payer).first_chunk().expect("32 bytes have 20");
        let key = PaymentKey::of_payer(&address, self.bytes("key", number));
        let network = NetworkId::new("eip155:84532").expect("a network");
        let amount = AtomicAmount::from(10_000_u64);
        let option = PriceOption::new(network, ASSET, amount, PAY_TO);
        OpenRequest {
            id: OrderId::of(&key, self.random("order", number)),
            key,
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

    /// The same, with all that is known of where it comes from.
    #[must_use]
    pub fn traced(&self, number: u32) -> OpenRequest {
        let quote = QuoteMark {
            id: self.random("quote", number),
            nonce: self.random("quote nonce", number),
            resource: self.bytes("quoted resource", number),
            digest: self.bytes("quote", number),
            issued_at: self.now.before(LEASE),
            expires_at: self.now.after(LEASE),
        };
        let provenance = Provenance {
            method: "GET".into(),
            path: "/weather/oslo".into(),
            query_digest: Some(self.bytes("query", number)),
            body_digest: Some(self.bytes("body", number)),
            quote: Some(quote),
            binding: BindingLevel::SignedQuote,
            authorization_hash: self.bytes("authorization", number),
            valid_after: self.now.before(MEMORY),
            verified_by: Verifier::Local,
        };
        OpenRequest { provenance: Some(Arc::new(provenance)), ..self.request(number) }
    }

    /// The same presentation by another holder.
    #[must_use]
    pub fn again(&self, request: &OpenRequest, holder: u32) -> OpenRequest {
        let id = OrderId::of(&request.key, self.random("another order", holder));
        let owner = OwnerToken::new(self.random("another owner", holder));
        OpenRequest { id, owner, ..request.clone() }
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

    /// The worker with this number, which holds what it takes for `lease`.
    #[must_use]
    pub fn worker(&self, number: u32, lease: Duration) -> Worker {
        Worker { owner: OwnerToken::new(self.random("worker", number)), lease }
    }

    /// Takes what is due at `now`, at most `limit` orders.
    pub async fn due(&self, worker: &Worker, limit: usize, now: UnixSeconds) -> Vec<(Lease, Order)> {
        let taken = self.store.due(worker, limit, now).await.expect("the store answers");
        assert!(taken.len() <= limit, "{} orders were taken, {limit} were asked for", taken.len());
        taken
    }

    /// Reports events that must be possible.
    pub async fn report(&self, lease: &Lease, events: impl IntoIterator<Item = Event>) -> Order {
        self.report_at(lease, events, self.now).await
    }

    /// Reports events that must be possible at `now`.
    pub async fn report_at(
        &self,
        lease: &Lease,
        events: impl IntoIterator<Item = Event>,
        now: UnixSeconds,
    ) -> Order {
        let mut last = None;
        for event in events {
            let advanced = self.store.advance(lease, &event, now).await;
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
        self.settled_with(request, request.terms.option.amount)
    }

    /// The event of a settlement that moved this much.
    #[must_use]
    pub fn settled_with(&self, request: &OpenRequest, amount: AtomicAmount) -> Event {
        let option = &request.terms.option;
        let settlement = Settlement::new(
            format!("0x{}", request.key),
            option.network.clone(),
            request.payer.to_string(),
            amount,
        );
        Event::SettleOk { settlement: Arc::new(settlement) }
    }

    /// The event that puts a settlement off, with a kept response or without.
    #[must_use]
    pub fn deferred(&self, request: &OpenRequest, response: Option<StoredResponse>) -> Event {
        Event::SettleDeferred { response: response.map(Arc::new), payment: self.kept(request) }
    }

    /// The event that lets a response out whose charge is stated while it is on its way.
    #[must_use]
    pub fn metered(&self, request: &OpenRequest) -> Event {
        Event::Metered { payment: self.kept(request) }
    }

    fn kept(&self, request: &OpenRequest) -> Arc<KeptPayment> {
        let json = format!(r#"{{"x402Version":2,"payload":{{"signature":"{}"}}}}"#, request.key).into();
        let resource = ResourceInfo {
            url: "https://api.example.com/weather/oslo".into(),
            description: Some("the weather".into()),
            ..ResourceInfo::default()
        };
        Arc::new(KeptPayment::new(json, resource))
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
