use std::time::Duration;

use x402_core::{
    facilitator::BoxFuture,
    order::{DeliveryState, MemoryStore, OpenRequest},
    testing::store_contract::Payments,
};

use super::*;

/// A chain that says one thing.
struct Says(Evidence);

impl Witness for Says {
    fn evidence<'a>(&'a self, _: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

struct World {
    store: Arc<MemoryStore>,
    payments: Payments,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        Self { payments: Payments::new(Arc::clone(&store) as _), store }
    }

    fn reconciler(&self, evidence: Evidence) -> Reconciler {
        Reconciler::new(Arc::clone(&self.store) as _).witness(None, Says(evidence))
    }

    /// An order whose outcome is unknown, and which nobody holds.
    async fn unknown(&self, number: u32) -> OpenRequest {
        let request = self.payments.request(number);
        let (lease, _) = self.payments.create(&request).await;
        let begun = [
            Event::VerifyOk,
            Event::HandlerStarted,
            Event::SettleStarted { response: None },
            Event::SettleUnclear { transaction: Some("0x01".into()) },
            Event::Released,
        ];
        self.payments.report(&lease, begun).await;
        request
    }
}

fn paid(request: &OpenRequest, transaction: &str) -> Settlement {
    let option = &request.terms.option;
    Settlement::new(transaction.to_owned(), option.network.clone(), request.payer.to_string(), option.amount)
}

fn expired() -> Evidence {
    let (valid_before, now) = Default::default();
    Evidence::Dead(x402_core::error::RejectReason::Expired { valid_before, now })
}

#[tokio::test]
async fn an_unknown_outcome_is_recorded_as_the_chain_knows_it() {
    let world = World::new();
    let (first, second, third) = (world.unknown(0).await, world.unknown(1).await, world.unknown(2).await);

    let order = world.payments.find(&first).await;
    let settled = Evidence::Settled(paid(&first, "0x0a"));
    let looked = world.reconciler(settled.clone()).dry_run().compare(order.clone()).await.unwrap();
    assert_eq!((looked.finding, looked.order.is_settled()), (Finding::Settled, false));
    assert!(!world.payments.find(&first).await.is_settled(), "a dry run records nothing");
    let checked = world.reconciler(settled).compare(order).await.unwrap();
    assert_eq!(checked.finding, Finding::Settled);
    let order = world.payments.find(&first).await;
    assert!(order.is_settled() && order.leased_until.is_none());
    assert_eq!(order.state.delivery, DeliveryState::Errored, "its payer may come for it");

    let order = world.payments.find(&second).await;
    let checked = world.reconciler(expired()).compare(order).await.unwrap();
    assert!(matches!(checked.finding, Finding::Failed { .. }), "{:?}", checked.finding);
    let order = world.payments.find(&second).await;
    assert!(order.dead && order.state.payment == PaymentState::Failed);

    let order = world.payments.find(&third).await;
    let checked = world.reconciler(Evidence::StillPossible).compare(order.clone()).await.unwrap();
    assert_eq!(checked.finding, Finding::Open);
    assert_eq!(world.payments.find(&third).await.fence, order.fence, "nothing was taken over");
}

#[tokio::test]
async fn a_settlement_that_the_chain_took_back_is_reported_and_left_alone() {
    let world = World::new();
    let request = world.payments.request(0);
    let (lease, _) = world.payments.settle(&request, None).await;
    let order = world.payments.report(&lease, [Event::Delivered]).await;
    let transaction = order.settlement.as_ref().unwrap().transaction.clone();
    let found = async |evidence| world.reconciler(evidence).compare(order.clone()).await.unwrap().finding;
    assert_eq!(found(Evidence::Settled(paid(&request, &transaction.to_uppercase()))).await, Finding::Agrees);
    let moved = Finding::Moved { transaction: "0x0b".to_owned() };
    assert_eq!(found(Evidence::Settled(paid(&request, "0x0b"))).await, moved);
    assert_eq!(found(expired()).await, Finding::Gone);
    assert_eq!(found(Evidence::StillPossible).await, Finding::Gone);
    assert!(world.payments.find(&request).await.is_settled());
}

#[tokio::test]
async fn a_charge_of_nothing_is_settled_without_a_transfer() {
    let world = World::new();
    let (unknown, known) = (world.payments.request(0), world.payments.request(1));
    let nothing = Event::Charged { amount: 0.into() };
    for request in [&unknown, &known] {
        let (lease, _) = world.payments.create(request).await;
        let started = Event::SettleStarted { response: None };
        let begun = [Event::VerifyOk, Event::HandlerStarted, nothing.clone(), started];
        world.payments.report(&lease, begun).await;
        if request.key == known.key {
            let option = &request.terms.option;
            let spent = Settlement::of_nothing(option.network.clone(), request.payer.to_string());
            world.payments.report(&lease, [Event::SettleOk { settlement: Arc::new(spent) }]).await;
        }
        world.payments.report(&lease, [Event::Released]).await;
    }
    let mut totals = Totals::default();
    for (request, wanted) in [(&unknown, Finding::Settled), (&known, Finding::Agrees)] {
        let order = world.payments.find(request).await;
        let checked = world.reconciler(Evidence::StillPossible).compare(order).await.unwrap();
        assert_eq!(checked.finding, wanted);
        assert!(checked.order.is_settled());
        totals.add(&checked);
    }
    let total = totals.iter().next().unwrap();
    assert_eq!((total.orders, total.store, total.chain), (2, 0.into(), 0.into()));
}

#[tokio::test]
async fn a_part_of_a_ceiling_is_what_the_chain_must_show() {
    let world = World::new();
    let request = world.payments.request(0);
    let (lease, _) = world.payments.create(&request).await;
    let begun = [
        Event::VerifyOk,
        Event::HandlerStarted,
        Event::Charged { amount: 3_000.into() },
        Event::SettleStarted { response: None },
        Event::SettleUnclear { transaction: None },
        Event::Released,
    ];
    let order = world.payments.report(&lease, begun).await;
    let whole = world.reconciler(Evidence::Settled(paid(&request, "0x0a"))).compare(order.clone()).await;
    assert!(matches!(whole.unwrap().finding, Finding::Unanswered { .. }), "another transfer's evidence");
    let mut part = paid(&request, "0x0a");
    part.amount = 3_000.into();
    let checked = world.reconciler(Evidence::Settled(part)).compare(order).await.unwrap();
    assert_eq!(checked.finding, Finding::Settled);
    assert_eq!(checked.order.settlement.unwrap().amount, 3_000.into());
}

#[tokio::test]
async fn money_that_the_store_does_not_know_of_is_reported() {
    let world = World::new();
    let request = world.payments.request(0);
    let (lease, _) = world.payments.create(&request).await;
    let order =
        world.payments.report(&lease, [Event::VerifyRejected { reason: "nonce_already_used".into() }]).await;
    let checked = world.reconciler(Evidence::Settled(paid(&request, "0x0c"))).compare(order).await.unwrap();
    assert_eq!(checked.finding, Finding::Unrecorded { transaction: "0x0c".to_owned() });
    assert!(checked.finding.needs_attention());
    let mut totals = Totals::default();
    totals.add(&checked);
    let difference: Vec<_> = totals.iter().map(|total| (total.symbol(), total.difference())).collect();
    assert_eq!(difference, [("USDC", "-10000".to_owned())]);
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_in_no_sum() {
    let world = World::new();
    let request = world.payments.request(0);
    let (_, order) = world.payments.settle(&request, None).await;
    let nobody = Reconciler::new(Arc::clone(&world.store) as _);
    let other: NetworkId = "eip155:8453".parse().unwrap();
    let elsewhere = nobody.clone().witness(Some(other), Says(Evidence::StillPossible));
    let mut strange = paid(&request, "0x0d");
    strange.payer = "0x0000000000000000000000000000000000000001".to_owned();
    let mut totals = Totals::default();
    for reconciler in [nobody, elsewhere, world.reconciler(Evidence::Settled(strange))] {
        let checked = reconciler.compare(order.clone()).await.unwrap();
        assert!(matches!(checked.finding, Finding::Unanswered { .. }), "{:?}", checked.finding);
        totals.add(&checked);
    }
    let total = totals.iter().next().unwrap();
    assert_eq!((total.orders, total.unanswered, total.difference().as_str()), (3, 3, "0"));
}

#[tokio::test]
async fn an_order_that_somebody_works_on_is_left_to_them() {
    let world = World::new();
    let request = world.payments.request(0);
    let (lease, _) = world.payments.create(&request).await;
    let begun = [Event::VerifyOk, Event::SettleStarted { response: None }];
    let order = world.payments.report(&lease, begun).await;
    let reconciler = world.reconciler(Evidence::Settled(paid(&request, "0x0e")));
    assert_eq!(reconciler.compare(order.clone()).await.unwrap().finding, Finding::Busy);
    let late = x402_core::testing::FakeClock::new(world.payments.now.after(Duration::from_secs(60)));
    let checked = reconciler.clock(late).compare(order).await.unwrap();
    assert_eq!(checked.finding, Finding::Settled, "its holder vanished");
}
