//! Payments through Permit2 on a real chain: ceilings of which a part is charged, fixed prices, and approvals that are
//! missing, sent, or signed.

use serde_json::{Value, json};
use x402_tests::{Books, Challenge, Connection, Framework, GAS, PAYER, Request, Response, Shop, eventually};

through_every_adapter!(
    what_was_used_moves_once,
    a_stream_moves_what_was_used_when_it_ends,
    a_payer_who_approved_nothing_is_told_and_signs_the_approval,
);

/// A shop that asked its facilitator, the node, what that one supports.
fn open(framework: Framework) -> Shop {
    Shop::open_with(framework, |_, environment| {
        environment.set("UPTO_SETTLER", GAS.address).set("ASK_AT_START", "yes")
    })
}

fn approved(framework: Framework) -> Shop {
    let shop = open(framework);
    shop.chain.approve_permit2(PAYER.address, 1_000_000).unwrap();
    shop
}

/// What the merchant got, transfer by transfer.
fn income(shop: &Shop) -> Vec<u128> {
    shop.chain.income(x402_tests::MERCHANT.address).unwrap().iter().map(|income| income.amount).collect()
}

fn sent_by_the_gas_account(shop: &Shop) -> Value {
    shop.chain.rpc("eth_getTransactionCount", json!([GAS.address, "latest"])).unwrap()
}

/// Presents a payment that was settled: the same answer comes back, and nothing else happens.
fn assert_replayed(shop: &Shop, request: &Request, first: &Response) {
    let books = shop.books();
    let again = shop.send(request);
    assert_eq!((again.status, again.text()), (200, first.text()));
    assert_eq!((again.receipt(), again.header("idempotent-replayed")), (first.receipt(), Some("true")));
    assert_eq!(shop.books(), books);
}

fn what_was_used_moves_once(framework: Framework) {
    let shop = approved(framework);
    let cases = [("/used?use=1234", 1234), ("/used?use=10%", 500), ("/used", 5000), ("/permit2", 1000)];
    for (sold, (path, charged)) in cases.into_iter().enumerate() {
        let request = Request::get(path).paying(&shop.payment_for(path));
        let response = shop.send(&request);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        let receipt = response.receipt();
        let last = shop.chain.income(x402_tests::MERCHANT.address).unwrap().pop().unwrap();
        assert_eq!((income(&shop).len(), last.amount), (sold + 1, charged), "{path}");
        assert_eq!(receipt["transaction"], last.transaction.as_str(), "{path}");
        if path != "/permit2" {
            assert_eq!(receipt["amount"], charged.to_string(), "{path}");
        }
        assert_replayed(&shop, &request, &response);
    }

    let sent = sent_by_the_gas_account(&shop);
    let request = Request::get("/used?use=0").paying(&shop.payment_for("/used?use=0"));
    let response = shop.send(&request);
    assert_eq!((response.status, response.text().as_str()), (200, "charged: 0\n"));
    let receipt = response.receipt();
    assert_eq!((&receipt["amount"], &receipt["transaction"]), (&"0".into(), &"".into()));
    assert_replayed(&shop, &request, &response);

    let fails = shop.send(&Request::get("/used?use=5001").paying(&shop.payment_for("/used?use=5001")));
    assert_eq!((fails.status, fails.header("payment-response")), (500, None));
    assert_eq!(sent_by_the_gas_account(&shop), sent, "neither of them needs a transaction");
    assert_eq!(shop.books(), Books::of(&[("GET /used", 5), ("GET /permit2", 1)], 4, 7734));
}

fn a_stream_moves_what_was_used_when_it_ends(framework: Framework) {
    let shop = approved(framework);
    let request = Request::get("/used/stream?each=10").paying(&shop.payment_for("/used/stream?each=10"));
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(&request.bytes()).unwrap();
    let head = connection.response_head().unwrap();
    assert_eq!((head.status, head.header("payment-response")), (200, None), "not settled yet");
    let mut body = Vec::new();
    assert!(connection.chunk(&mut body).unwrap());
    assert_eq!(shop.transfers(), 0);
    while connection.chunk(&mut body).unwrap() {}
    eventually("what was used has moved", || income(&shop) == [640]);
    eventually("that is recorded", || shop.send(&request).header("payment-response").is_some());
    let again = shop.send(&request);
    assert_eq!((again.status, again.code().as_str()), (409, "payment_replayed"));
    assert_eq!(again.receipt()["amount"], "640");
    assert_eq!(shop.books(), Books::of(&[("GET /used/stream", 1)], 1, 640));
}

fn a_payer_who_approved_nothing_is_told_and_signs_the_approval(framework: Framework) {
    let shop = open(framework);
    // A ceiling last: what was not used of it stays approved.
    for (approvals, (path, moved)) in [("/permit2", 1000), ("/used?use=700", 700)].into_iter().enumerate() {
        let refused = shop.send(&Request::get(path).paying(&shop.payment_for(path)));
        assert_eq!((refused.status, refused.header("cache-control")), (412, Some("no-store")), "{path}");
        let v2 = refused.decoded("payment-required").unwrap();
        assert_eq!(v2["error"], "permit2_allowance_required", "{path}");
        assert_eq!(income(&shop).len(), approvals, "{path}");

        let challenge = Challenge { v2, v1: Value::Null };
        let request = Request::get(path).paying(&shop.payer.v2_approving(&challenge, approvals as u64));
        let sent = sent_by_the_gas_account(&shop);
        let response = shop.send(&request);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        assert_eq!(response.receipt()["success"], true, "{path}");
        assert_eq!(income(&shop)[approvals..], [moved], "{path}");
        assert_ne!(sent_by_the_gas_account(&shop), sent);
        assert_replayed(&shop, &request, &response);
    }
    let plain = shop.ask("/exact");
    assert_eq!(plain.v2.get("extensions"), None, "nothing to approve there");
    assert_eq!(shop.books(), Books::of(&[("GET /used", 1), ("GET /permit2", 1)], 2, 1700));
}
