//! Settlements that fail, or whose outcome nobody knows: nothing protected leaves, and nobody is asked to pay twice.

use std::thread;

use x402_tests::{
    Answer, Books, Challenge, Framework, Request, Response, ScriptedFacilitator, Shop, eventually, paid_runs,
};

through_every_adapter!(
    failed_and_alive_gets_no_challenge,
    failed_and_dead_gets_a_challenge,
    unknown_is_asked_again_and_paid_once,
    unknown_for_ever_is_never_a_challenge,
    a_receipt_for_somebody_else_delivers_nothing,
    nothing_sent_is_settled_on_the_next_try,
    what_the_chain_does_not_show_is_not_delivered,
);

fn assert_withheld(response: &Response) {
    assert_eq!(response.header("delivery-token"), None, "nothing of the handler's leaves");
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

fn failed_and_alive_gets_no_challenge(framework: Framework) {
    let shop = Shop::open(framework);
    shop.chain.set_quirks(REVERTS_ON_CHAIN_ONLY).unwrap();
    let payment = shop.payment_for("/exact");
    let request = Request::get("/exact").paying(&payment);
    let first = shop.send(&request);
    shop.chain.set_quirks(0).unwrap();
    let again = shop.send(&request);
    for response in [first, again] {
        assert_eq!(response.status, 402, "{}", response.text());
        assert_withheld(&response);
        let receipt = response.receipt();
        assert_eq!(receipt["success"], false);
        assert_eq!(receipt["errorReason"], "invalid_exact_evm_transaction_failed");
        assert!(!receipt["transaction"].as_str().unwrap().is_empty(), "a transaction was sent: {receipt}");
        assert_eq!(response.header("payment-required"), None, "the authorization may still be used");
        assert!(
            response.json().get("accepts").is_none(),
            "no challenge in the body either: {}",
            response.text()
        );
    }
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 0, 0));
}

fn failed_and_dead_gets_a_challenge(framework: Framework) {
    let shop = Shop::open(framework);
    let challenge = shop.ask("/slow?ms=1000");
    let request = Request::get("/slow?ms=1000").paying(&shop.payer.v2(&challenge));
    let response = thread::scope(|scope| {
        let sent = scope.spawn(|| shop.send(&request));
        eventually("the handler runs", || shop.server.runs("GET /slow") == 1);
        // Only a block after its end proves that an authorization is dead.
        shop.chain.advance_time(1000).unwrap();
        sent.join().unwrap()
    });
    assert_eq!(response.status, 402, "{}", response.text());
    assert_withheld(&response);
    assert_eq!(response.receipt()["success"], false);
    let fresh = Challenge::of(&response);
    assert_eq!(fresh.v2["error"], "invalid_exact_evm_payload_authorization_valid_before");
    assert_ne!(fresh.terms()["extra"]["quote"], challenge.terms()["extra"]["quote"]);
    assert_eq!(shop.books(), Books::of(&[("GET /slow", 1)], 0, 0));
}

fn unknown_is_asked_again_and_paid_once(framework: Framework) {
    let facilitator = ScriptedFacilitator::start();
    let (server, payer) = Shop::through(&facilitator, framework);
    let payment = payer.v2(&Challenge::of(&server.send(&Request::get("/exact"))));
    let request = Request::get("/exact").paying(&payment);
    for answer in [Answer::HangUp, Answer::Json(500, "oops".into()), Answer::Json(200, serde_json::json!({}))]
    {
        facilitator.on_settle(answer, true);
        let response = server.send(&request);
        assert_eq!((response.status, response.code().as_str()), (503, "settlement_unresolved"));
        assert_withheld(&response);
        assert!(response.header("retry-after").is_some());
        assert_eq!(response.header("payment-required"), None, "they would pay twice");
        assert_eq!(facilitator.moves(), 1);
    }
    let response = server.send(&request);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.receipt()["success"], true);
    assert_eq!(facilitator.moves(), 1);
    assert_eq!(paid_runs(&server).values().sum::<u64>(), 1, "its response was kept");
    assert_eq!(server.deliveries().len(), 1);
    assert_eq!(response.header("delivery-token"), Some(server.deliveries()[0].token.as_str()));
}

/// The money moved, the answer was lost, and the facilitator remembers nothing: only a chain could tell.
fn unknown_for_ever_is_never_a_challenge(framework: Framework) {
    let facilitator = ScriptedFacilitator::start();
    facilitator.be_forgetful();
    let (server, payer) = Shop::through(&facilitator, framework);
    let payment = payer.v1(&Challenge::of(&server.send(&Request::get("/exact"))));
    let request = Request::get("/exact").paying(&payment);
    facilitator.on_settle(Answer::HangUp, true);
    for _ in 0..3 {
        let response = server.send(&request);
        assert_eq!((response.status, response.code().as_str()), (503, "settlement_unresolved"));
        assert_withheld(&response);
        assert_eq!(response.header("payment-required"), None);
    }
    assert_eq!((facilitator.moves(), paid_runs(&server).values().sum::<u64>()), (1, 1));
}

fn a_receipt_for_somebody_else_delivers_nothing(framework: Framework) {
    let facilitator = ScriptedFacilitator::start();
    let (server, payer) = Shop::through(&facilitator, framework);
    let transaction = format!("0x{}", "ab".repeat(32));
    let receipt = |payer: &str, network: &str, transaction: &str| {
        let receipt = serde_json::json!({
            "success": true, "payer": payer, "network": network, "transaction": transaction,
        });
        Answer::Json(200, receipt)
    };
    for answer in [
        receipt(devchain::accounts()[2].address, "eip155:84532", &transaction),
        receipt(payer.address(), "eip155:8453", &transaction),
        receipt(payer.address(), "eip155:84532", ""),
    ] {
        facilitator.on_settle(answer.clone(), false);
        let payment = payer.v2(&Challenge::of(&server.send(&Request::get("/exact"))));
        let response = server.send(&Request::get("/exact").paying(&payment));
        assert_eq!(response.status, 503, "{answer:?}: {}", response.text());
        assert_withheld(&response);
        assert_eq!(response.header("payment-required"), None, "{answer:?}");
    }
    assert_eq!(facilitator.moves(), 0);
}

fn nothing_sent_is_settled_on_the_next_try(framework: Framework) {
    let facilitator = ScriptedFacilitator::start();
    let (server, payer) = Shop::through(&facilitator, framework);
    let payment = payer.v2(&Challenge::of(&server.send(&Request::get("/exact"))));
    let request = Request::get("/exact").paying(&payment);
    facilitator.on_settle(Answer::HangUp, false);
    assert_eq!(server.send(&request).status, 503);
    assert_eq!(facilitator.moves(), 0);
    let response = server.send(&request);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!((facilitator.moves(), paid_runs(&server).values().sum::<u64>()), (1, 1));
}

/// The facilitator says that it settled, and the chain knows of nothing.
fn what_the_chain_does_not_show_is_not_delivered(framework: Framework) {
    let facilitator = ScriptedFacilitator::start();
    let shop = Shop::witnessed(&facilitator, framework);
    let payment = shop.payment_for("/exact");
    let request = Request::get("/exact").paying(&payment);
    for _ in 0..2 {
        let response = shop.send(&request);
        assert_eq!((response.status, response.code().as_str()), (503, "settlement_unresolved"));
        assert_withheld(&response);
        assert!(response.header("retry-after").is_some());
        assert_eq!(response.header("payment-required"), None, "they would pay twice");
        assert_eq!(response.header("payment-response"), None);
    }
    assert!(facilitator.settle_calls() >= 1);
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 0, 0));
}

const REVERTS_ON_CHAIN_ONLY: u64 = 64;
