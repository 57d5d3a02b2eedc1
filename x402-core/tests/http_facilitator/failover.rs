//! Several facilitators, and one that only verifies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use x402_core::{
    error::RejectReason,
    facilitator::{
        BoxFuture, BreakerLimits, Facilitator, Failover, HttpFacilitator, Payment, SettleError, Settlement,
        Split, VerifyError,
    },
    testing::{FakeClock, FakeFacilitator, SettleAnswer, VerifyAnswer},
    wire::facilitator::SupportedResponse,
};

use super::{
    fixture::{good, good_v1},
    server::{Act, Server, nobody},
};

/// A fake that lists what it is told to.
#[derive(Clone)]
struct Listing {
    fake: FakeFacilitator,
    supported: Option<SupportedResponse>,
    asked: Arc<AtomicUsize>,
}

impl Listing {
    fn new(kinds: Value) -> Self {
        let supported =
            serde_json::from_value(Value::Object([("kinds".to_owned(), kinds)].into_iter().collect()))
                .unwrap();
        Self {
            fake: FakeFacilitator::new().with_any_signature(),
            supported: Some(supported),
            asked: Arc::default(),
        }
    }

    fn of_both_versions() -> Self {
        Self::new(json!([kind(), { "x402Version": 1, "scheme": "exact", "network": "base-sepolia" }]))
    }

    fn silent() -> Self {
        Self { supported: None, ..Self::new(json!([])) }
    }

    fn calls(&self) -> (usize, usize) {
        (self.fake.verify_calls(), self.fake.settle_calls())
    }
}

impl Facilitator for Listing {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        self.fake.verify(payment)
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        self.fake.settle(payment)
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let down = || VerifyError::Unavailable("silent".into());
        Box::pin(async move { self.supported.clone().ok_or_else(down) })
    }
}

fn kind() -> Value {
    json!({ "x402Version": 2, "scheme": "exact", "network": "eip155:84532" })
}

/// Two that list the payment, and both in order.
async fn pair() -> (Listing, Listing, Failover) {
    let (first, second) = (Listing::of_both_versions(), Listing::of_both_versions());
    let failover = Failover::new(first.clone()).or(second.clone());
    failover.supported().await.unwrap();
    (first, second, failover)
}

#[tokio::test]
async fn the_first_one_is_asked_while_it_works() {
    let (first, second, failover) = pair().await;
    failover.verify(&good()).await.unwrap();
    failover.settle(&good()).await.unwrap();
    assert_eq!((first.calls(), second.calls()), ((1, 1), (0, 0)));
}

#[tokio::test]
async fn a_verification_goes_on_where_nobody_could_tell_and_ends_at_a_refusal() {
    let (first, second, failover) = pair().await;
    first.fake.next_verify(VerifyAnswer::Unavailable);
    failover.verify(&good()).await.unwrap();
    assert_eq!((first.calls(), second.calls()), ((1, 0), (1, 0)));

    first.fake.next_verify(VerifyAnswer::Reject(RejectReason::InsufficientFunds));
    let error = failover.verify(&good()).await.unwrap_err();
    assert!(matches!(error, VerifyError::Rejected(RejectReason::InsufficientFunds)), "{error:?}");
    assert_eq!(second.calls(), (1, 0));

    first.fake.on_verify(VerifyAnswer::Unavailable);
    second.fake.on_verify(VerifyAnswer::Unavailable);
    assert!(matches!(failover.verify(&good()).await, Err(VerifyError::Unavailable(_))));
}

#[tokio::test]
async fn a_settlement_that_was_not_sent_goes_to_the_next_one_at_once() {
    let (first, second, failover) = pair().await;
    first.fake.next_settle(SettleAnswer::Unavailable);
    failover.settle(&good()).await.unwrap();
    assert_eq!((first.fake.transfers().len(), second.fake.transfers().len()), (0, 1));
    failover.settle(&good()).await.unwrap();
    assert_eq!((first.calls(), second.calls()), ((0, 1), (0, 2)), "and stays there");

    first.fake.on_settle(SettleAnswer::Unavailable);
    second.fake.on_settle(SettleAnswer::Unavailable);
    let error = failover.settle(&good_v1()).await.unwrap_err();
    assert!(matches!(error, SettleError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_payment_of_unknown_outcome_stays_with_whom_it_was_sent_to() {
    for moved in [true, false] {
        let (first, second, failover) = pair().await;
        first.fake.next_settle(SettleAnswer::Unresolved { moved });
        let lost = failover.settle(&good()).await.unwrap_err();
        assert!(matches!(lost, SettleError::Unresolved { .. }), "{lost:?}");

        // It cannot even be reached now: that says nothing of what was sent before.
        first.fake.next_settle(SettleAnswer::Unavailable);
        let down = failover.settle(&good()).await.unwrap_err();
        assert!(matches!(down, SettleError::Unavailable(_)), "{down:?}");
        first.fake.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
        failover.settle(&good()).await.unwrap_err();

        failover.settle(&good()).await.unwrap();
        assert_eq!(first.fake.transfers().len(), 1, "moved before: {moved}");
        assert_eq!(second.calls(), (0, 0));
    }
}

#[tokio::test]
async fn a_settlement_that_was_dropped_may_have_been_sent() {
    let (first, second, failover) = pair().await;
    first.fake.next_settle(SettleAnswer::Hang);
    let payment = good();
    tokio::time::timeout(Duration::from_millis(20), failover.settle(&payment)).await.unwrap_err();
    first.fake.next_settle(SettleAnswer::Unavailable);
    failover.settle(&payment).await.unwrap_err();
    failover.settle(&payment).await.unwrap();
    assert_eq!(second.calls(), (0, 0));
}

#[tokio::test]
async fn while_one_settles_nobody_else_gets_the_payment() {
    let (first, second, failover) = pair().await;
    first.fake.next_settle(SettleAnswer::Hang);
    let other = failover.clone();
    let under_way = tokio::spawn(async move { other.settle(&good()).await });
    first.fake.hanging(1).await;
    first.fake.next_settle(SettleAnswer::Unavailable);
    let down = failover.settle(&good()).await.unwrap_err();
    assert!(matches!(down, SettleError::Unavailable(_)), "{down:?}");
    first.fake.release();
    under_way.await.unwrap().unwrap();
    assert_eq!(second.calls(), (0, 0));
}

#[tokio::test]
async fn a_refused_payment_may_go_elsewhere_when_it_comes_again() {
    let (first, second, failover) = pair().await;
    first.fake.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
    let refused = failover.settle(&good()).await.unwrap_err();
    assert!(matches!(refused, SettleError::Rejected { .. }), "{refused:?}");
    assert_eq!(second.calls(), (0, 0), "a refusal is an answer");
    first.fake.next_settle(SettleAnswer::Unavailable);
    failover.settle(&good()).await.unwrap();
    assert_eq!(second.calls(), (0, 1));
}

#[tokio::test]
async fn it_is_forgotten_once_the_authorization_is_over() {
    let (first, second) = (Listing::of_both_versions(), Listing::of_both_versions());
    let payment = good();
    let end = payment.authorization.valid_before;
    let clock = FakeClock::new(end.before(Duration::from_secs(100)));
    let failover = Failover::new(first.clone()).or(second.clone()).clock(clock.clone());
    failover.supported().await.unwrap();
    first.fake.next_settle(SettleAnswer::Unresolved { moved: false });
    failover.settle(&payment).await.unwrap_err();
    clock.advance(Duration::from_secs(600));
    first.fake.on_settle(SettleAnswer::Unavailable);
    failover.settle(&payment).await.unwrap_err();
    assert_eq!(second.calls(), (0, 0), "what was sent at last may still be mined");
    clock.advance(Duration::from_secs(100));
    failover.settle(&payment).await.unwrap();
    assert_eq!(second.calls(), (0, 1));
}

#[tokio::test]
async fn each_payment_goes_to_who_lists_it() {
    let new_only = Listing::new(json!([kind()]));
    let old_only = Listing::new(json!([{ "x402Version": 1, "scheme": "exact", "network": "base-sepolia" }]));
    let elsewhere = Listing::new(json!([{ "x402Version": 2, "scheme": "exact", "network": "solana:*" }]));
    let failover = Failover::new(elsewhere.clone()).or(old_only.clone()).or(new_only.clone());
    failover.supported().await.unwrap();
    failover.verify(&good()).await.unwrap();
    failover.settle(&good()).await.unwrap();
    failover.verify(&good_v1()).await.unwrap();
    failover.settle(&good_v1()).await.unwrap();
    assert_eq!((elsewhere.calls(), old_only.calls(), new_only.calls()), ((0, 0), (1, 1), (1, 1)));

    let nobody = Failover::new(elsewhere.clone());
    nobody.supported().await.unwrap();
    assert!(matches!(nobody.verify(&good()).await, Err(VerifyError::Unavailable(_))));
    assert!(matches!(nobody.settle(&good()).await, Err(SettleError::Unavailable(_))));
    assert_eq!(elsewhere.calls(), (0, 0));
}

#[tokio::test]
async fn terms_made_for_one_facilitator_are_for_that_one() {
    let of = |account: &str| {
        let mut kind = kind();
        kind["extra"] = json!({ "facilitatorAddress": account });
        Listing::new(json!([kind]))
    };
    let (first, second) = (of("0x01"), of("0x02"));
    let failover = Failover::new(first.clone()).or(second.clone());
    let supported = failover.supported().await.unwrap();
    assert_eq!(supported.kinds.len(), 1, "{supported:?}");
    assert_eq!(supported.kinds[0].extra.as_ref().unwrap()["facilitatorAddress"], "0x01");
    let mut payment = good();
    Arc::make_mut(&mut payment.option.extra).insert("facilitatorAddress".to_owned(), "0x02".into());
    failover.verify(&payment).await.unwrap();
    failover.settle(&payment).await.unwrap();
    assert_eq!((first.calls(), second.calls()), ((0, 0), (1, 1)));
}

#[tokio::test]
async fn who_has_not_said_what_it_supports_is_asked_last_and_no_payment_waits_for_it() {
    let (silent, listing) = (Listing::silent(), Listing::new(json!([kind()])));
    let failover = Failover::new(silent.clone()).or(listing.clone());
    failover.supported().await.unwrap();
    failover.verify(&good()).await.unwrap();
    assert_eq!((silent.calls(), listing.calls()), ((0, 0), (1, 0)));
    listing.fake.on_verify(VerifyAnswer::Unavailable);
    failover.verify(&good()).await.unwrap();
    assert_eq!(silent.calls(), (1, 0));

    let unasked = Failover::new(Listing::silent()).or(Listing::silent());
    unasked.verify(&good()).await.unwrap();
    assert_eq!(silent.asked.load(Ordering::SeqCst), 1, "not once a payment");
}

#[tokio::test]
async fn at_least_one_must_cover_each_way_to_pay() {
    let mut other = good().option;
    other.network = "eip155:8453".parse().unwrap();
    let base = Listing::new(json!([{ "x402Version": 2, "scheme": "exact", "network": "eip155:8453" }]));
    let sepolia = Listing::new(json!([kind()]));
    let options = [good().option, other];
    let both = Failover::new(base).or(sepolia.clone());
    both.preflight(&options).await.unwrap();
    let one = Failover::new(Listing::silent()).or(sepolia.clone());
    one.preflight(&options[..1]).await.unwrap();
    one.preflight(&options).await.unwrap_err();
    let error = Failover::new(sepolia).preflight(&options).await.unwrap_err().to_string();
    assert!(error.contains("cannot settle exact on eip155:8453"), "{error}");
    let error = Failover::new(Listing::silent()).preflight(&options).await.unwrap_err().to_string();
    assert!(error.contains("cannot be asked what it supports"), "{error}");
}

#[tokio::test]
async fn one_that_is_left_alone_costs_no_time() {
    let gone = HttpFacilitator::new(&format!("http://{}", nobody().await)).unwrap();
    let works = Server::start((0..20).map(|_| Act::Json(200, json!({ "isValid": true })))).await;
    let gone = gone.breaker(BreakerLimits::new().faults(1));
    let failover = Failover::new(gone).or(works.facilitator());
    let payment = good();
    failover.verify(&payment).await.unwrap();
    let begun = Instant::now();
    for _ in 0..5 {
        failover.verify(&payment).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_millis(250), "no pause to try again: {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_extension_is_told_where_everybody_knows_it() {
    let knowing = |keys: &[&str]| {
        let mut one = Listing::new(json!([kind()]));
        one.supported.as_mut().unwrap().extensions = keys.iter().map(|key| (*key).to_owned()).collect();
        one
    };
    let mut silent = knowing(&[]);
    silent.supported = None;
    for (one, two, told) in [
        (knowing(&["a", "b"]), knowing(&["b", "c"]), &["b"][..]),
        (knowing(&["a"]), knowing(&[]), &[]),
        (knowing(&["a"]), silent.clone(), &[]),
        (silent, knowing(&["a"]), &[]),
    ] {
        let supported = Failover::new(one).or(two).supported().await.unwrap();
        assert_eq!(supported.extensions, told);
        assert!(!supported.kinds.is_empty());
    }
}

#[tokio::test]
async fn a_split_verifies_here_and_settles_there() {
    let node = Listing::new(json!([kind()]));
    let mut service = Listing::new(json!([
        { "x402Version": 2, "scheme": "exact", "network": "eip155:*", "extra": { "feePayer": "0x01" } },
        { "x402Version": 2, "scheme": "exact", "network": "eip155:8453" },
        { "x402Version": 2, "scheme": "upto", "network": "eip155:84532" },
        { "x402Version": 1, "scheme": "exact", "network": "base-sepolia" },
    ]));
    service.supported.as_mut().unwrap().extensions.push("bazaar".to_owned());
    let split = Split::new(node.clone(), service.clone());
    split.verify(&good()).await.unwrap();
    split.settle(&good()).await.unwrap();
    assert_eq!((node.calls(), service.calls()), ((1, 0), (0, 1)));

    let supported = split.supported().await.unwrap();
    let listed: Vec<_> = supported.kinds.iter().map(|kind| (&*kind.scheme, &*kind.network)).collect();
    assert_eq!(listed, [("exact", "eip155:*")], "what both support");
    assert!(supported.kinds[0].extra.is_some() && supported.extensions.is_empty());
    split.preflight(&[good().option]).await.unwrap();
    let mut base = good().option;
    base.network = "eip155:8453".parse().unwrap();
    split.preflight(&[base]).await.unwrap_err();

    let brings = |one: &dyn Facilitator| (one.schemes().len(), one.witness().is_some());
    let own = FakeFacilitator::new().with_local_proof().with_witness();
    assert_eq!(brings(&own), (2, true));
    assert_eq!(brings(&Split::new(own.clone(), FakeFacilitator::new())), (2, true));
    assert_eq!(brings(&Split::new(FakeFacilitator::new(), own.clone())), (0, false));
    let failover = Failover::new(FakeFacilitator::new()).or(own.clone()).or(own);
    assert_eq!(brings(&failover), (4, true), "those of all: of one name the first counts");
}
