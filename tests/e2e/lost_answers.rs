//! The line to the chain is cut around the one call that moves money.

use std::time::Instant;

use x402_tests::{Books, Cut, Framework, Line, Request, Shop, persist};

fn shop_on_a_line(framework: Framework) -> (Shop, Line) {
    let mut line = None;
    let shop = Shop::open_with(framework, |chain, environment| {
        let line = line.insert(Line::to(chain.url()));
        environment.set("RPC_URL", line.url())
    });
    (shop, line.expect("the line was laid"))
}

#[test]
fn sent_and_the_answer_lost() {
    for framework in [Framework::Axum, Framework::Actix] {
        let (shop, line) = shop_on_a_line(framework);
        let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
        line.cut(SEND, Cut::Answer);
        let response = persist(&shop.server, &request);
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000));
        let again = shop.send(&request);
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
        assert_eq!(shop.transfers(), 1);
    }
}

#[test]
fn never_sent_and_nobody_knows() {
    let (shop, line) = shop_on_a_line(Framework::Tower);
    let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
    line.cut(SEND, Cut::Call);
    let response = persist(&shop.server, &request);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000));
}

#[test]
fn sent_and_the_line_stays_dead() {
    let (shop, line) = shop_on_a_line(Framework::Axum);
    let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
    line.cut_and_stay_dead(SEND, Cut::Answer);
    let begun = Instant::now();
    let response = shop.send(&request);
    println!("told after {:?} that the outcome is unknown", begun.elapsed());
    assert_eq!((response.status, response.code().as_str()), (503, "settlement_unresolved"));
    assert!(response.header("retry-after").is_some());
    assert_eq!((response.header("payment-required"), response.header("delivery-token")), (None, None));
    assert_eq!(shop.transfers(), 1, "the money moved");
    line.mend();
    let response = persist(&shop.server, &request);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.header("delivery-token"), Some(shop.server.deliveries()[0].token.as_str()));
    assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000));
}

#[test]
fn every_other_answer_lost() {
    let (shop, line) = shop_on_a_line(Framework::Axum);
    for (sold, method) in
        ["eth_getTransactionReceipt", "eth_call", "eth_blockNumber", "eth_getLogs"].into_iter().enumerate()
    {
        let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
        line.cut(method, Cut::Answer);
        let response = persist(&shop.server, &request);
        line.mend();
        assert_eq!(response.status, 200, "{method}: {}", response.text());
        assert_eq!(shop.transfers(), sold + 1, "{method}");
    }
}

const SEND: &str = "eth_sendRawTransaction";
