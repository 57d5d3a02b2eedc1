//! Payers' own names for their payments: a name is for one payment, and a payment is known without it.

use x402_tests::{Books, Challenge, Framework, Payer, Payment, Request, Shop};

through_every_adapter!(
    names_are_offered_as_the_protocol_says,
    a_name_is_demanded_where_the_route_says_so,
    names_that_nobody_asked_for_are_ignored,
    the_same_payment_is_joined_and_replayed_whatever_its_name,
    another_payment_of_that_name_is_refused,
    another_payer_may_use_the_same_name,
    many_payments_of_one_name_are_one_sale,
);

const BREAKFAST: &str = "order-of-breakfast";

fn get(path: &str, payment: &Payment) -> Request {
    Request::get(path).paying(payment)
}

fn names_are_offered_as_the_protocol_says(framework: Framework) {
    let shop = Shop::open(framework);
    let vectors = include_str!("../data/vectors/payment-identifier.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    for (path, required) in [("/named", false), ("/named/always", true)] {
        let challenge = shop.ask(path);
        let declared = vectors["cases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|case| &case["unpaid"]["paymentRequired"]["extensions"])
            .find(|extensions| extensions["payment-identifier"]["info"]["required"] == required)
            .unwrap();
        assert_eq!(&challenge.v2["extensions"], declared, "{path}");
        // Version 1 has no extensions: where one is demanded, its clients are not asked to sign for nothing.
        assert_eq!(challenge.v1["x402Version"], if required { 2 } else { 1 }, "{path}");
    }
    assert_eq!(shop.ask("/exact").v2.get("extensions"), None);
}

fn a_name_is_demanded_where_the_route_says_so(framework: Framework) {
    let shop = Shop::open(framework);
    let path = "/named/always";
    let payment = shop.payment_for(path);
    let in_version_1 = shop.payer.v1(&shop.ask("/named"));
    for nameless in [&payment, &in_version_1] {
        let response = shop.send(&get(path, nameless));
        assert_eq!((response.status, response.code().as_str()), (400, "payment_identifier_required"));
        assert_eq!(response.header("payment-required"), None);
    }
    for bad in ["too-short", "order of breakfast", &"a".repeat(129)] {
        for path in ["/named", path] {
            let response = shop.send(&get(path, &shop.payment_for(path).named(bad)));
            assert_eq!((response.status, response.code().as_str()), (400, "invalid_payment_identifier"));
        }
    }
    assert_eq!(shop.books(), Books::empty());
    assert_eq!(shop.send(&get(path, &payment.clone().named(BREAKFAST))).status, 200, "nothing was consumed");
    let nameless = shop.send(&get(path, &payment));
    assert_eq!((nameless.status, nameless.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(shop.books(), Books::of(&[("GET /named/always", 1)], 1, 1000));
}

fn names_that_nobody_asked_for_are_ignored(framework: Framework) {
    let shop = Shop::open(framework);
    for id in [BREAKFAST, BREAKFAST, "short"] {
        assert_eq!(shop.send(&get("/exact", &shop.payment_for("/exact").named(id))).status, 200, "{id}");
    }
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 3)], 3, 3000));
}

fn the_same_payment_is_joined_and_replayed_whatever_its_name(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = shop.payment_for("/named");
    let named = payment.clone().named(BREAKFAST);
    let copies: Vec<_> =
        [named.clone(), named, payment.clone(), payment.clone().named("order-of-lunch-no-2")]
            .iter()
            .map(|payment| get("/named", payment))
            .collect();
    let first: Vec<_> = shop.send_at_once(&copies).into_iter().map(Result::unwrap).collect();
    let again: Vec<_> = copies.iter().map(|copy| shop.send(copy)).collect();
    for response in first.iter().chain(&again) {
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("delivery-token"), first[0].header("delivery-token"), "one delivery");
        assert_eq!(response.receipt()["transaction"], first[0].receipt()["transaction"]);
    }
    let in_version_1 = shop.payer.v1(&shop.ask("/named"));
    assert_eq!(shop.send(&get("/named", &in_version_1)).status, 200, "a name is optional");
    assert_eq!(shop.books(), Books::of(&[("GET /named", 2)], 2, 2000));
}

fn another_payment_of_that_name_is_refused(framework: Framework) {
    let shop = Shop::open(framework);
    let first = shop.payment_for("/named").named(BREAKFAST);
    assert_eq!(shop.send(&get("/named", &first)).status, 200);
    let second = shop.payment_for("/named");
    let elsewhere = shop.payment_for("/named/always").named(BREAKFAST);
    for (path, payment) in [("/named", second.clone().named(BREAKFAST)), ("/named/always", elsewhere)] {
        let response = shop.send(&get(path, &payment));
        assert_eq!((response.status, response.code().as_str()), (409, "idempotency_conflict"), "{path}");
        for header in ["payment-response", "delivery-token", "payment-required", "retry-after"] {
            assert_eq!(response.header(header), None, "{header}");
        }
    }
    assert_eq!(shop.books(), Books::of(&[("GET /named", 1)], 1, 1000));
    assert_eq!(
        shop.send(&get("/named", &second.named("order-of-lunch-no-2"))).status,
        200,
        "it was not consumed"
    );
    assert_eq!(shop.books(), Books::of(&[("GET /named", 2)], 2, 2000));
}

fn another_payer_may_use_the_same_name(framework: Framework) {
    let shop = Shop::open(framework);
    let account = &devchain::accounts()[2];
    shop.chain.mint(account.address, x402_tests::FUNDS).unwrap();
    let first = shop.send(&get("/named", &shop.payment_for("/named").named(BREAKFAST)));
    let other = Payer::of(account).v2(&shop.ask("/named")).named(BREAKFAST);
    let second = shop.send(&get("/named", &other));
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(second.header("idempotent-replayed"), None);
    assert_ne!(first.header("delivery-token"), second.header("delivery-token"));
    assert_eq!(shop.server.runs("GET /named"), 2);
}

fn many_payments_of_one_name_are_one_sale(framework: Framework) {
    let shop = Shop::open(framework);
    let challenge: Challenge = shop.ask("/named");
    let requests: Vec<_> =
        (0..20).map(|_| get("/named", &shop.payer.v2(&challenge).named(BREAKFAST))).collect();
    let responses: Vec<_> = shop.send_at_once(&requests).into_iter().map(Result::unwrap).collect();
    let served = responses.iter().filter(|response| response.status == 200).count();
    let refused = responses.iter().filter(|response| response.status == 409);
    assert!(refused.clone().all(|response| response.code() == "idempotency_conflict"));
    assert_eq!((served, refused.count()), (1, 19));
    assert_eq!(shop.books(), Books::of(&[("GET /named", 1)], 1, 1000));
}
