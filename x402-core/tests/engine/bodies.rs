//! Bodies that are bound to their payment: hashed before the claim, and part of what is paid for.

use std::{future::pending, sync::Arc};

use bytes::Bytes;
use x402_core::{Triage, adapter, error::BodyError};

use crate::support::{Answer, Request, World};

fn upload(content: &'static str) -> Request {
    Request::post("/upload", content)
}

#[tokio::test]
async fn the_same_body_gets_the_kept_response_and_another_one_nothing() {
    let world = World::new();
    let payment = world.pay(&upload("breakfast")).await;
    let v1 = world.payer.pay_v1(&world.send(&upload("breakfast")).await.body);
    let first = world.send(&upload("breakfast").paid(&payment)).await;
    assert_eq!(first.status, 200);
    let again = world.send(&upload("breakfast").paid(&payment)).await;
    assert_eq!((again.status, &again.body, again.has("idempotent-replayed")), (200, &first.body, true));
    assert_eq!(world.send(&upload("breakfast").paid_v1(&v1)).await.status, 200);
    for other in [upload("breakfasu"), upload("break"), Request::post("/upload", "")] {
        for paid in [other.paid(&payment), other.paid_v1(&v1)] {
            let answer = world.send(&paid).await;
            assert_eq!((answer.status, answer.reason().as_str()), (409, "idempotency_conflict"));
            assert!(!answer.has("payment-response") && !answer.has("x-payment-response"));
        }
    }
    let mut bodiless = upload("breakfast").paid(&payment);
    bodiless.body = false;
    assert_eq!(world.send(&bodiless).await.status, 409);
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (2, 2));
}

#[tokio::test]
async fn fifty_copies_with_their_bodies_are_one_sale() {
    let world = Arc::new(World::new());
    let paid = upload("breakfast").paid(&world.pay(&upload("breakfast")).await);
    let copies: Vec<_> = (0..50)
        .map(|_| {
            let (world, paid) = (Arc::clone(&world), paid.clone());
            tokio::spawn(async move { world.send(&paid).await })
        })
        .collect();
    for copy in copies {
        let answer = copy.await.unwrap();
        assert_eq!((answer.status, &*answer.body), (200, &b"run 1"[..]));
    }
    assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1));
}

#[tokio::test]
async fn a_body_is_asked_for_only_with_a_payment_that_can_be_read() {
    let world = World::new();
    let payment = world.pay(&upload("breakfast")).await;
    assert!(matches!(world.engine.triage(&upload("breakfast")), Triage::Reply(reply) if reply.status == 402));
    let junk = upload("breakfast").header("payment-signature", "junk");
    assert!(matches!(world.engine.triage(&junk), Triage::Reply(reply) if reply.status == 400));
    let asked = |request: &Request| match world.engine.triage(request) {
        Triage::Check(attempt) => attempt.body_limit(),
        other => panic!("{other:?}"),
    };
    assert_eq!(asked(&upload("breakfast").paid(&payment)), Some(1000));
    let mut bodiless = upload("").paid(&payment);
    bodiless.body = false;
    assert_eq!(asked(&bodiless), None);
    assert_eq!(asked(&Request::post("/render", "breakfast").paid(&payment)), None, "not bound by its route");
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_refused_unread() {
    let world = World::new();
    let payment = world.pay(&upload("breakfast")).await;
    for (length, refused) in
        [("1000", false), ("1001", true), ("18446744073709551615", true), (" 1001 ", true), ("+7", false)]
    {
        let mut request = upload("").paid(&payment);
        request.headers.retain(|(name, _)| *name != "content-length");
        match world.engine.triage(&request.header("content-length", length)) {
            Triage::Reply(reply) => {
                let answer = Answer::from(reply);
                assert_eq!((answer.status, answer.reason().as_str()), (413, "request_body_too_large"));
                assert!(refused, "{length}");
            }
            Triage::Check(_) => assert!(!refused, "{length}"),
            Triage::Free | Triage::Demand(_) => panic!("{length}"),
        }
    }
    assert_eq!(world.send(&upload("breakfast").paid(&payment)).await.status, 200, "nothing was consumed");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_or_takes_too_long_consumes_nothing() {
    let world = World::new();
    let payment = world.pay(&upload("breakfast")).await;
    let attempt = || match world.engine.triage(&upload("breakfast").paid(&payment)) {
        Triage::Check(attempt) => attempt,
        other => panic!("{other:?}"),
    };
    for (error, status, code) in [
        (BodyError::TooLarge, 413, "request_body_too_large"),
        (BodyError::Incomplete, 400, "request_body_incomplete"),
    ] {
        let reply = adapter::bind_body(&mut attempt(), async { Err(error) }).await.unwrap_err();
        let answer = Answer::from(reply);
        assert_eq!((answer.status, answer.reason().as_str()), (status, code));
        assert_eq!(answer.get("cache-control").unwrap(), b"no-store");
        assert!(!answer.has("payment-required"));
    }
    let begun = tokio::time::Instant::now();
    let reply = adapter::bind_body(&mut attempt(), pending()).await.unwrap_err();
    assert_eq!((reply.status, begun.elapsed()), (408, adapter::BODY_TIME));
    assert_eq!(world.facilitator.verify_calls(), 0);
    assert_eq!(world.send(&upload("breakfast").paid(&payment)).await.status, 200);
}

#[tokio::test]
async fn what_was_bound_is_known_by_its_hash() {
    let world = World::new();
    let paid = upload("breakfast").paid(&world.pay(&upload("breakfast")).await);
    let Triage::Check(mut attempt) = world.engine.triage(&paid) else { panic!("it is paid") };
    assert_eq!(attempt.body_digest(), None);
    let body = adapter::bind_body(&mut attempt, async { Ok(Bytes::from_static(b"abc")) }).await.unwrap();
    assert_eq!(&*body, b"abc");
    let digest = attempt.body_digest().unwrap();
    assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf], "SHA-256 of abc");
    assert_eq!(attempt.body_limit(), None, "it is not read twice");
}
