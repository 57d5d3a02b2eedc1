//! Fifty at once: the same payment is one sale, fifty payments are fifty.

use std::collections::HashSet;

use x402_tests::{Books, Framework, Request, Response, Shop};

through_every_adapter!(
    fifty_copies_are_one_sale,
    fifty_copies_of_a_post_are_one_sale,
    fifty_payments_are_fifty_sales,
    fifty_copies_settled_before_are_one_sale,
);

const CROWD: usize = 50;

fn copies(shop: &Shop, request: &Request) -> Vec<Response> {
    let copies = vec![request.clone(); CROWD];
    shop.send_at_once(&copies).into_iter().map(|sent| sent.expect("everybody gets an answer")).collect()
}

/// One response, for as many as got it; everybody else was told to come back.
fn assert_one_response(responses: &[Response]) {
    let (served, refused): (Vec<_>, Vec<_>) = responses.iter().partition(|response| response.status == 200);
    assert!(!served.is_empty(), "somebody is served");
    let tokens: HashSet<_> = served.iter().map(|response| response.header("delivery-token")).collect();
    let bodies: HashSet<_> = served.iter().map(|response| &response.body).collect();
    assert_eq!((tokens.len(), bodies.len()), (1, 1), "everybody who is served gets the same");
    let firsts = served.iter().filter(|response| response.header("idempotent-replayed").is_none());
    assert_eq!(firsts.count(), 1, "one response is the first");
    for response in refused {
        assert_eq!(response.status, 409, "{}", response.text());
        assert_eq!(response.header("payment-required"), None);
    }
}

fn fifty_copies_are_one_sale(framework: Framework) {
    let shop = Shop::open(framework);
    let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
    assert_one_response(&copies(&shop, &request));
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000));
    assert_eq!(shop.server.deliveries().len(), 1);
}

fn fifty_copies_of_a_post_are_one_sale(framework: Framework) {
    let shop = Shop::open(framework);
    let post = Request::post("/echo", "hello");
    let challenge = x402_tests::Challenge::of(&shop.send(&post));
    let responses = copies(&shop, &post.paying(&shop.payer.v2(&challenge)));
    assert_one_response(&responses);
    assert_eq!(responses.iter().filter(|response| response.status == 200).count(), 1, "nothing is stored");
    assert_eq!(shop.books(), Books::of(&[("POST /echo", 1)], 1, 1000));
}

fn fifty_payments_are_fifty_sales(framework: Framework) {
    let shop = Shop::open(framework);
    let requests: Vec<_> =
        (0..CROWD).map(|_| Request::get("/exact").paying(&shop.payment_for("/exact"))).collect();
    let responses: Vec<_> = shop.send_at_once(&requests).into_iter().map(Result::unwrap).collect();
    for response in &responses {
        assert_eq!(response.status, 200, "{}", response.text());
    }
    let tokens: HashSet<_> = responses.iter().map(|response| response.header("delivery-token")).collect();
    let transactions: HashSet<_> =
        responses.iter().map(|response| response.receipt()["transaction"].to_string()).collect();
    assert_eq!((tokens.len(), transactions.len()), (CROWD, CROWD));
    assert_eq!(shop.books(), Books::of(&[("GET /exact", CROWD as u64)], CROWD, 1000 * CROWD as u128));
    assert_eq!(shop.server.deliveries().len(), CROWD);
}

fn fifty_copies_settled_before_are_one_sale(framework: Framework) {
    let shop = Shop::open_settling_before(framework);
    let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
    assert_one_response(&copies(&shop, &request));
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000));
}
