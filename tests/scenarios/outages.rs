//! What the merchant depends on is down: 503, nobody is asked for money, and what is free goes on.

use x402_tests::{
    Answer, Challenge, Framework, Line, Request, Response, ScriptedFacilitator, Shop, paid_runs,
};

through_every_adapter!(
    a_dead_chain_is_503_and_recovers,
    a_dead_facilitator_is_503_and_recovers,
    a_facilitator_that_babbles_is_503,
    a_facilitator_that_refuses_is_believed,
    a_facilitator_that_says_yes_is_not_believed,
);

fn assert_unavailable(response: &Response, what: &str) {
    assert_eq!(response.status, 503, "{what}: {}", response.text());
    assert!(response.header("retry-after").is_some_and(|after| after.parse::<u64>().is_ok()), "{what}");
    assert_eq!(response.header("payment-required"), None, "{what}: they would pay twice");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{what}");
    assert_eq!(response.header("delivery-token"), None, "{what}");
}

fn a_dead_chain_is_503_and_recovers(framework: Framework) {
    let mut line = None;
    let shop = Shop::open_with(framework, |chain, environment| {
        let line = line.insert(Line::to(chain.url()));
        environment.set("RPC_URL", line.url())
    });
    let line = line.expect("the line was laid");
    let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
    line.kill();
    assert_unavailable(&shop.send(&request), "no chain");
    assert_eq!(shop.send(&Request::get("/exact")).status, 402, "who does not pay is still told how to");
    assert_eq!(shop.send(&Request::get("/free")).status, 200);
    assert!(paid_runs(&shop.server).is_empty());
    line.mend();
    let response = shop.send(&request);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(shop.transfers(), 1);
}

fn a_dead_facilitator_is_503_and_recovers(framework: Framework) {
    let facilitator = ScriptedFacilitator::start();
    let (server, payer) = Shop::through(&facilitator, framework);
    let request =
        Request::get("/exact").paying(&payer.v2(&Challenge::of(&server.send(&Request::get("/exact")))));
    for answer in [Answer::HangUp, Answer::Json(503, "down".into()), Answer::Json(429, "slower".into())] {
        facilitator.on_verify(answer.clone());
        assert_unavailable(&server.send(&request), &format!("{answer:?}"));
    }
    assert!(paid_runs(&server).is_empty());
    assert_eq!(server.send(&Request::get("/free")).status, 200);
    assert_eq!(server.send(&request).status, 200);
    assert_eq!(facilitator.moves(), 1);
}

fn a_facilitator_that_babbles_is_503(framework: Framework) {
    let facilitator = ScriptedFacilitator::start();
    let (server, payer) = Shop::through(&facilitator, framework);
    let request =
        Request::get("/exact").paying(&payer.v1(&Challenge::of(&server.send(&Request::get("/exact")))));
    let html =
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"
            .to_vec();
    let cut =
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"isValid\":true"
            .to_vec();
    let elsewhere =
        b"HTTP/1.1 307 Moved\r\nConnection: close\r\nLocation: http://127.0.0.1:9/verify\r\nContent-Length: 0\r\n\r\n".to_vec();
    for answer in [
        Answer::Json(200, serde_json::json!({ "isValid": "true" })),
        Answer::Json(200, serde_json::json!({ "isValid": 1 })),
        Answer::Json(200, serde_json::json!({})),
        Answer::Json(200, serde_json::json!([true])),
        Answer::Json(200, serde_json::json!({ "isValid": true, "payer": devchain::accounts()[2].address })),
        Answer::Bytes(html),
        Answer::Bytes(cut),
        Answer::Bytes(elsewhere),
        Answer::Bytes(b"junk\r\n\r\n".to_vec()),
        Answer::Bytes(Vec::new()),
    ] {
        facilitator.on_verify(answer.clone());
        assert_unavailable(&server.send(&request), &format!("{answer:?}"));
    }
    assert_eq!((paid_runs(&server).len(), facilitator.settle_calls()), (0, 0));
    assert_eq!(server.send(&request).status, 200, "nothing of it was consumed");
}

fn a_facilitator_that_refuses_is_believed(framework: Framework) {
    let facilitator = ScriptedFacilitator::start();
    let (server, payer) = Shop::through(&facilitator, framework);
    let request =
        Request::get("/exact").paying(&payer.v2(&Challenge::of(&server.send(&Request::get("/exact")))));
    for (status, reason) in [(200, "insufficient_funds"), (400, "invalid_exact_evm_insufficient_balance")] {
        let refusal = serde_json::json!({ "isValid": false, "invalidReason": reason });
        facilitator.on_verify(Answer::Json(status, refusal));
        let response = server.send(&request);
        assert_eq!(Challenge::of(&response).v2["error"], "invalid_exact_evm_insufficient_balance");
    }
    assert_eq!((paid_runs(&server).len(), facilitator.settle_calls()), (0, 0));
}

/// What can be checked without a chain is checked here, whatever somebody else says.
fn a_facilitator_that_says_yes_is_not_believed(framework: Framework) {
    let facilitator = ScriptedFacilitator::start();
    let (server, payer) = Shop::through(&facilitator, framework);
    let challenge = Challenge::of(&server.send(&Request::get("/exact")));
    let cheaper = {
        let mut terms = challenge.terms();
        terms["amount"] = "1".into();
        payer.v2_signing(&challenge, &terms, x402_tests::Window::default())
    };
    let expired = payer.v2_within(&challenge, x402_tests::Window::seconds(0));
    for payment in [cheaper, expired] {
        assert_eq!(server.send(&Request::get("/exact").paying(&payment)).status, 402);
    }
    assert_eq!((facilitator.verified(), facilitator.settle_calls(), paid_runs(&server).len()), (0, 0, 0));
}
