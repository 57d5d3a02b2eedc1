//! Charging what was used: the scheme `upto`, where responses are settled before they leave.

use std::sync::Arc;

use x402_core::{
    Engine, Outcome, SettleTiming, Ticket,
    charge::ChargeError,
    error::RejectReason,
    facilitator::{BoxFuture, Facilitator, Payment, SettleError, Settlement, VerifyError, Witness},
    order::{DeliveryState, MemoryStore, PaymentState},
    price::{AtomicAmount, Price, PriceOption, PriceRule, Prices},
    scheme::{Authorization, PaymentKey, Proof, Scheme, UptoEvmStructure},
    testing::{EvidenceAnswer, FakeClock, FakeFacilitator, SettleAnswer, VerifyAnswer},
    time::UnixSeconds,
    wire::facilitator::SupportedResponse,
};

use crate::{
    ports::{FlowingClock, order, seconds},
    support::{Answer, NETWORK, NOW, PAY_TO, Request, World},
};

pub(crate) const CEILING: u64 = 50_000;
const FACILITATOR: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";

/// At most five cents.
pub(crate) fn ceiling() -> Price {
    let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    let option = PriceOption::new(NETWORK.parse().unwrap(), usdc, CEILING, PAY_TO);
    Price::options(vec![option.upto(FACILITATOR)])
}

pub(crate) fn prices(timing: SettleTiming) -> Prices {
    Prices::new("https://api.example.com")
        .pay_to(NETWORK, PAY_TO)
        .charge("GET /used", PriceRule::new(ceiling()).settle(timing))
        .charge("POST /used", PriceRule::new(ceiling()).settle(timing))
        .charge("GET /fixed", "$0.01")
        .build()
        .unwrap()
}

/// A world whose time flows, with a worker, and its store.
pub(crate) async fn shop(timing: SettleTiming) -> (World, MemoryStore) {
    let (clock, store) = (FlowingClock::new(), MemoryStore::new());
    let facilitator = FakeFacilitator::new().with_local_proof().with_witness().with_clock(clock.clone());
    let world = World::over(prices(timing), facilitator, FakeClock::new(UnixSeconds::new(NOW)), |builder| {
        builder.clock(clock).store(store.clone())
    });
    tokio::spawn(world.engine.worker());
    seconds(1).await;
    (world, store)
}

pub(crate) async fn paid(world: &World, request: Request) -> Request {
    request.paid(&world.pay(&request).await)
}

/// Enters, and says what was used.
pub(crate) async fn using(
    world: &World,
    paid: &Request,
    used: impl Into<Option<u64>>,
) -> (Ticket, PaymentKey) {
    let ticket = world.enter(paid).await.unwrap();
    if let Some(used) = used.into() {
        ticket.charge().set(used).unwrap();
    }
    let key = ticket.context().payment_key;
    (ticket, key)
}

pub(crate) fn moved(world: &World) -> Vec<AtomicAmount> {
    world.facilitator.transfers().iter().map(|transfer| transfer.amount).collect()
}

pub(crate) fn receipt(answer: &Answer) -> (String, String) {
    let receipt = answer.json("payment-response");
    assert_eq!(receipt["success"], true);
    let text = |member: &str| receipt[member].as_str().unwrap().to_owned();
    (text("amount"), text("transaction"))
}

#[tokio::test(start_paused = true)]
async fn what_the_handler_says_is_charged_before_its_response_leaves() {
    for timing in [SettleTiming::AfterHandler, SettleTiming::Deferred] {
        for (used, wanted) in
            [(Some(12_300), 12_300), (None, CEILING), (Some(CEILING), CEILING), (Some(1), 1)]
        {
            let (world, store) = shop(timing).await;
            let paid = paid(&world, Request::get("/used")).await;
            let (ticket, key) = using(&world, &paid, used).await;
            assert_eq!(ticket.context().amount, CEILING.into());
            let answer = world.run(ticket, 200).await;
            assert_eq!(answer.status, 200);
            seconds(1).await;
            assert_eq!(moved(&world), [wanted.into()], "{timing:?} {used:?}");
            let order = order(&store, key).await;
            assert_eq!(
                (order.state.payment, order.charge, order.amount()),
                (PaymentState::Settled, Some(wanted.into()), wanted.into())
            );
            let answer = if timing == SettleTiming::Deferred { world.send(&paid).await } else { answer };
            assert_eq!(receipt(&answer).0, wanted.to_string());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_for_nothing_and_the_payment_is_spent_all_the_same() {
    for timing in [SettleTiming::AfterHandler, SettleTiming::Deferred] {
        let (world, store) = shop(timing).await;
        let paid = paid(&world, Request::get("/used")).await;
        let (ticket, key) = using(&world, &paid, 0).await;
        assert_eq!(world.run(ticket, 200).await.status, 200);
        seconds(1).await;
        assert_eq!((world.facilitator.settle_calls(), moved(&world)), (0, vec![]), "nobody is asked");
        let spent = order(&store, key).await;
        assert_eq!(
            (spent.state.payment, spent.state.delivery, spent.leased_until),
            (PaymentState::Settled, DeliveryState::Delivered, None)
        );
        assert!(spent.keep_until > spent.valid_before);
        let again = world.send(&paid).await;
        assert_eq!((again.status, again.get("idempotent-replayed")), (200, Some(&b"true"[..])));
        assert_eq!(receipt(&again), ("0".to_owned(), String::new()));
        assert_eq!(world.handler_runs(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn no_word_of_a_handler_charges_more_than_was_authorized() {
    let (world, _) = shop(SettleTiming::AfterHandler).await;
    let (ticket, _) = using(&world, &paid(&world, Request::get("/used")).await, 300).await;
    let charge = ticket.charge().clone();
    let above = Err(ChargeError::AboveCeiling { ceiling: CEILING.into() });
    assert_eq!(charge.set(CEILING + 1), above);
    assert_eq!(charge.set("$0.05001"), above);
    assert_eq!(charge.set("101%"), above);
    assert_eq!(charge.set("$0.0002"), Ok(()), "the last word counts");
    world.run(ticket, 200).await;
    assert_eq!(moved(&world), [200.into()]);
    assert_eq!(charge.set(100), Err(ChargeError::TooLate { charged: 200.into() }));
}

#[tokio::test(start_paused = true)]
async fn a_fixed_price_is_charged_whatever_the_handler_says() {
    let (world, store) = shop(SettleTiming::AfterHandler).await;
    let ticket = world.enter(&paid(&world, Request::get("/fixed")).await).await.unwrap();
    let key = ticket.context().payment_key;
    let refused = ticket.charge().set(1);
    assert_eq!(refused, Err(ChargeError::FixedPrice));
    assert!(refused.unwrap_err().to_string().contains("upto"));
    assert_eq!(receipt(&world.run(ticket, 200).await).0, "10000");
    assert_eq!(order(&store, key).await.charge, None);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_charges_nothing_of_what_it_said() {
    let (world, _) = shop(SettleTiming::AfterHandler).await;
    let paid = paid(&world, Request::get("/used")).await;
    let (ticket, _) = using(&world, &paid, 40_000).await;
    assert_eq!(world.run(ticket, 500).await.status, 500);
    assert_eq!(world.facilitator.settle_calls(), 0);
    let (ticket, _) = using(&world, &paid, None).await;
    ticket.charge().set("1%").unwrap();
    assert_eq!(receipt(&world.run(ticket, 200).await).0, "500");
    assert_eq!(moved(&world), [500.into()]);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_of_unknown_outcome_is_tried_again_with_the_same_charge() {
    for moved_at_first in [false, true] {
        for request in [Request::get("/used"), Request::new("POST", "/used")] {
            let (world, store) = shop(SettleTiming::AfterHandler).await;
            let kept = request.method == "GET";
            let paid = paid(&world, request).await;
            world.facilitator.next_settle(SettleAnswer::Unresolved { moved: moved_at_first });
            world.facilitator.on_evidence(EvidenceAnswer::Unavailable);
            let (ticket, key) = using(&world, &paid, 700).await;
            assert_eq!(world.run(ticket, 200).await.status, 503);
            assert_eq!(order(&store, key).await.charge, Some(700.into()));
            world.facilitator.on_evidence(EvidenceAnswer::Honest);
            match world.enter(&paid).await {
                Err(replayed) => {
                    assert!(kept);
                    assert_eq!((replayed.status, receipt(&replayed).0.as_str()), (200, "700"));
                }
                // It was not kept, and never left: its handler runs once more, and says what it likes.
                Ok(ticket) => {
                    assert!(!kept);
                    assert_eq!(ticket.charge().amount(), 700.into());
                    assert_eq!(ticket.charge().set(900), Ok(()));
                    assert_eq!(receipt(&world.run(ticket, 200).await).0, "700");
                }
            }
            assert_eq!(moved(&world), [700.into()]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_facilitator_that_takes_more_than_was_charged_is_not_believed() {
    let (clock, store) = (FlowingClock::new(), MemoryStore::new());
    let facilitator = FakeFacilitator::new().with_local_proof().with_witness().with_clock(clock.clone());
    let greedy = Greedy(facilitator.clone());
    let prices = prices(SettleTiming::AfterHandler);
    let world = World::over(prices, facilitator, FakeClock::new(UnixSeconds::new(NOW)), |builder| {
        builder.clock(clock).store(store.clone()).facilitator(greedy)
    });
    let paid = paid(&world, Request::get("/used")).await;
    let (ticket, key) = using(&world, &paid, 700).await;
    let answer = world.run(ticket, 200).await;
    assert_eq!((answer.status, answer.has("payment-required")), (503, false));
    assert_eq!(moved(&world), [CEILING.into()], "it took the whole ceiling, and told so");
    let order = order(&store, key).await;
    assert_eq!((order.state.payment, order.charge), (PaymentState::Unresolved, Some(700.into())));
}

/// Moves all that was authorized, whatever is charged.
struct Greedy(FakeFacilitator);

impl Facilitator for Greedy {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        self.0.verify(payment)
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        let whole = payment.clone().charging(payment.option.amount);
        Box::pin(async move { self.0.settle(&whole).await })
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        self.0.supported()
    }

    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        self.0.schemes()
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        self.0.witness()
    }
}

/// Takes every signature for one that a contract account may answer for.
struct OfContracts;

impl Scheme for OfContracts {
    fn name(&self) -> &'static str {
        "upto"
    }

    fn read(&self, payload: &serde_json::Value, option: &PriceOption) -> Result<Authorization, RejectReason> {
        UptoEvmStructure::authorization(payload, option)
    }

    fn prove(&self, _: &Authorization, _: &PriceOption) -> Result<Proof, RejectReason> {
        Ok(Proof::Contract)
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_was_charged_and_lost_is_sent_again_or_not_run_again() {
    let (world, store) = shop(SettleTiming::AfterHandler).await;
    for (request, delivery) in [
        (Request::get("/used"), DeliveryState::Ready),
        (Request::new("POST", "/used"), DeliveryState::Delivered),
    ] {
        let paid = paid(&world, request).await;
        let (ticket, key) = using(&world, &paid, 10).await;
        let outcome = Outcome::complete(200, Vec::new(), "sunny".into());
        drop(ticket.finish(outcome).await.unwrap());
        seconds(1).await;
        assert_eq!(order(&store, key).await.state.delivery, delivery);
        let again = world.enter(&paid).await.unwrap_err();
        if delivery == DeliveryState::Ready {
            assert_eq!((again.status, &*again.body), (200, &b"sunny"[..]));
        } else {
            // A second run could use any amount.
            assert_eq!((again.status, again.reason().as_str()), (409, "payment_replayed"));
        }
        assert_eq!(receipt(&again).0, "10");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_settles_what_was_charged_and_nothing_else() {
    for (used, transfers) in [(700, vec![AtomicAmount::from(700)]), (0, vec![])] {
        let (world, store) = shop(SettleTiming::Deferred).await;
        let paid = paid(&world, Request::get("/used")).await;
        world.facilitator.on_settle(SettleAnswer::Unavailable);
        let (ticket, key) = using(&world, &paid, used).await;
        assert_eq!(world.run(ticket, 200).await.status, 200);
        seconds(10).await;
        assert_eq!(order(&store, key).await.is_settled(), used == 0);
        world.facilitator.on_settle(SettleAnswer::Honest);
        seconds(200).await;
        let settled = order(&store, key).await;
        assert_eq!((settled.is_settled(), settled.charge), (true, Some(used.into())));
        assert_eq!(moved(&world), transfers);
    }
}

#[tokio::test(start_paused = true)]
async fn a_contract_account_pays_for_what_it_used_after_it_used_it() {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new().with_any_signature();
    let world =
        World::over(prices(SettleTiming::AfterHandler), facilitator, clock, |b| b.scheme(OfContracts));
    let (ticket, _) = using(&world, &paid(&world, Request::get("/used")).await, 10).await;
    assert_eq!(moved(&world), []);
    world.run(ticket, 200).await;
    assert_eq!(moved(&world), [10.into()]);
}

#[test]
fn what_was_used_cannot_be_charged_before_it_is_used() {
    let build = |prices: Prices, timing| {
        Engine::builder(prices).facilitator(FakeFacilitator::new()).settle(timing).build()
    };
    let wrong = build(prices(SettleTiming::BeforeHandler), SettleTiming::AfterHandler).unwrap_err();
    assert!(wrong.to_string().contains("GET /used"), "{wrong}");
    let table =
        || Prices::new("https://api.example.com").pay_to(NETWORK, PAY_TO).charge("GET /used", ceiling());
    assert!(build(table().build().unwrap(), SettleTiming::BeforeHandler).is_err());
    let late = || PriceRule::new(ceiling()).after_input();
    let early = table().charge("GET /late", late().settle(SettleTiming::BeforeHandler)).build().unwrap();
    assert!(build(early, SettleTiming::AfterHandler).unwrap_err().to_string().contains("GET /late"));
    let engine = build(table().build().unwrap(), SettleTiming::AfterHandler).unwrap();
    assert!(engine.priced(PriceRule::new(ceiling()).settle(SettleTiming::BeforeHandler)).is_err());
    assert!(engine.priced(ceiling()).is_ok() && engine.priced(late()).is_ok());
}

#[tokio::test]
async fn a_computed_price_that_cannot_be_charged_in_time_is_not_asked() {
    let computed = || PriceRule::new(Price::dynamic(|_| async { Ok::<_, RejectReason>(ceiling()) }));
    let (before, after) = (SettleTiming::BeforeHandler, SettleTiming::AfterHandler);
    for (rule, status) in [
        (computed(), 402),
        (computed().settle(before), 503),
        (computed().after_input(), 503),
        (computed().after_input().settle(before), 503),
        (computed().after_input().settle(after), 402),
    ] {
        let what = format!("{rule:?}");
        let prices = Prices::new("https://api.example.com").pay_to(NETWORK, PAY_TO).charge("GET /used", rule);
        let clock = FakeClock::new(UnixSeconds::new(NOW));
        let world = World::over(prices.build().unwrap(), FakeFacilitator::new(), clock, |builder| builder);
        let unpaid = world.send(&Request::get("/used")).await;
        assert_eq!(unpaid.status, status, "{what}");
        assert_eq!(unpaid.reason() == "price_unavailable", status == 503, "{what}");
    }
}

#[tokio::test]
async fn only_a_missing_allowance_is_a_failed_precondition_and_only_in_version_2() {
    let refused = |code: &str| VerifyAnswer::Reject(RejectReason::from_code(code));
    for (path, code, v1, status) in [
        ("/used", "permit2_allowance_required", false, 412),
        ("/fixed", "permit2_allowance_required", false, 412),
        ("/fixed", "permit2_allowance_required", true, 402),
        ("/used", "permit2_proxy_not_deployed", false, 402),
        ("/used", "permit2_insufficient_balance", false, 402),
    ] {
        for local_proof in [true, false] {
            let facilitator = FakeFacilitator::new();
            let facilitator = if local_proof { facilitator.with_local_proof() } else { facilitator };
            let clock = FakeClock::new(UnixSeconds::new(NOW));
            let world = World::over(prices(SettleTiming::AfterHandler), facilitator, clock, |b| b);
            let request = Request::get(path);
            let unpaid = world.send(&request).await;
            let paid = if v1 {
                request.paid_v1(&world.payer.pay_v1(&unpaid.body))
            } else {
                request.paid(&world.payer.pay_v2(unpaid.get("payment-required").unwrap()))
            };
            world.facilitator.on_verify(refused(code));
            let answer = world.send(&paid).await;
            assert_eq!(answer.status, status, "{path} {code} {v1} {local_proof}");
            assert_eq!(answer.get("cache-control"), Some(&b"no-store"[..]));
            assert!(answer.json("payment-required")["accepts"][0]["amount"].is_string());
            if status == 412 {
                assert_eq!(answer.reason(), code);
            }
            world.facilitator.on_verify(VerifyAnswer::Honest);
            assert_eq!(world.send(&paid).await.status, 200, "approved meanwhile, the same payment is good");
        }
    }
}

#[tokio::test]
async fn an_allowance_that_went_missing_before_the_settlement_is_told_with_the_receipt() {
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new().with_local_proof();
    let world = World::over(prices(SettleTiming::AfterHandler), facilitator, clock, |builder| builder);
    let paid = paid(&world, Request::get("/used")).await;
    world
        .facilitator
        .next_settle(SettleAnswer::Reject(RejectReason::from_code("permit2_allowance_required")));
    let answer = world.send(&paid).await;
    assert_eq!((answer.status, answer.has("payment-required")), (412, false), "it may still be settled");
    let receipt = answer.json("payment-response");
    assert_eq!(
        (receipt["success"].as_bool(), &receipt["errorReason"]),
        (Some(false), &"permit2_allowance_required".into())
    );
}
