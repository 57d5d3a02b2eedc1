//! The official facilitator settles for us, in both dialects, and is called no more often than it takes.

use std::time::{Duration, Instant};

use devchain::DevChain;
use x402_tests::{
    Books, Calls, Environment, FUNDS, Fault, Framework, GAS, Line, MERCHANT, OfficialFacilitator, PAYER,
    Payer, Request, Server, Shop, eventually, paid_runs, persist,
};

/// A shop whose money is moved by the official facilitator.
struct Remote {
    shop: Shop,
    facilitator: OfficialFacilitator,
}

impl Remote {
    fn open(framework: Framework, adjust: impl FnOnce(&DevChain, Environment) -> Environment) -> Self {
        let chain = DevChain::start().unwrap();
        let payer = Payer::of(PAYER);
        chain.mint(payer.address(), FUNDS).unwrap();
        let facilitator = OfficialFacilitator::start(&chain);
        let environment = adjust(&chain, Shop::environment().set("FACILITATOR_URL", facilitator.url()));
        Self { shop: Shop { server: Server::start(framework, environment), chain, payer }, facilitator }
    }
}

#[test]
fn both_dialects_are_settled() {
    for framework in [Framework::Axum, Framework::Actix] {
        let Remote { shop, facilitator: _facilitator } =
            Remote::open(framework, |_, environment| environment);
        let challenge = shop.ask("/exact");
        for payment in [shop.payer.v2(&challenge), shop.payer.v1(&challenge)] {
            let response = shop.send(&Request::get("/exact").paying(&payment));
            assert_eq!(response.status, 200, "{framework}: {}", response.text());
            assert_eq!(response.receipt()["success"], true, "{framework}");
            let income = shop.chain.income(MERCHANT.address).unwrap();
            assert_eq!(response.receipt()["transaction"], income.last().unwrap().transaction.as_str());
        }
        assert_eq!(shop.books(), Books::of(&[("GET /exact", 2)], 2, 2000), "{framework}");
    }
}

/// Through Permit2, with approvals that were missing and are brought along, and of a ceiling only what was used.
#[test]
fn permit2_and_ceilings_are_settled() {
    let Remote { shop, facilitator } = Remote::open(Framework::Tower, |chain, environment| {
        let environment = environment.set("WITNESS_URL", chain.url()).set("ASK_AT_START", "yes");
        environment.set("UPTO_SETTLER", GAS.address)
    });
    // A ceiling last: what was not used of it stays approved.
    let routes = [("/permit2", 1000), ("/used?use=700", 700)];
    for (sold, (path, moved)) in routes.into_iter().enumerate() {
        let challenge = shop.ask(path);
        let refused = shop.send(&Request::get(path).paying(&shop.payer.v2(&challenge)));
        assert_eq!(refused.status, 412, "{path}: {}", refused.text());
        let payment = shop.payer.v2_approving(&challenge, sold as u64);
        let response = shop.send(&Request::get(path).paying(&payment));
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        let income = shop.chain.income(MERCHANT.address).unwrap();
        assert_eq!((income.len(), income[sold].amount), (sold + 1, moved), "{path}");
        assert_eq!(response.receipt()["transaction"], income[sold].transaction.as_str(), "{path}");
    }
    shop.chain.approve_permit2(PAYER.address, 1_000_000).unwrap();
    let settled = facilitator.calls().settle;
    let free = shop.buy("/used?use=0");
    assert_eq!((free.status, &free.receipt()["amount"]), (200, &"0".into()), "{}", free.text());
    assert_eq!(shop.buy("/used?use=100").status, 200);
    assert_eq!(facilitator.calls().settle, settled + 1, "nothing is settled for nothing");
    assert_eq!(shop.books(), Books::of(&[("GET /permit2", 1), ("GET /used", 3)], 3, 1800));
}

/// The money moves, the connection breaks, and our own node is out of reach, too.
#[test]
fn a_settlement_whose_answer_is_lost_is_delivered_to_the_same_payment() {
    for (framework, timing) in [(Framework::Tower, "after"), (Framework::Axum, "before")] {
        let mut line = None;
        let Remote { shop, facilitator } = Remote::open(framework, |chain, environment| {
            let line = line.insert(Line::to(chain.url()));
            environment.set("WITNESS_URL", line.url()).set("SETTLE", timing).set("RESOLVE_WITHIN", "1")
        });
        let line = line.unwrap();
        let payment = shop.payment_for("/exact");
        let fault = Fault { endpoint: "settle", kind: "hangup", moved: true, late: Duration::ZERO };
        facilitator.fail(&payment, fault);
        line.kill();
        let request = Request::get("/exact").paying(&payment);
        let begun = Instant::now();
        let response = shop.send(&request);
        println!("{timing}: told after {:?} that the outcome is unknown", begun.elapsed());
        assert_eq!((response.status, response.code().as_str()), (503, "settlement_unresolved"), "{timing}");
        assert!(response.header("retry-after").is_some(), "{timing}");
        assert_eq!((response.header("payment-required"), response.header("delivery-token")), (None, None));
        assert_eq!(shop.transfers(), 1, "{timing}: the money moved");
        line.mend();
        let response = persist(&shop.server, &request);
        assert_eq!(response.status, 200, "{timing}: {}", response.text());
        assert_eq!(response.header("delivery-token"), Some(&*shop.server.deliveries()[0].token), "{timing}");
        assert_eq!(shop.books(), Books::of(&[("GET /exact", 1)], 1, 1000), "{timing}");
        assert_eq!(facilitator.calls().settle, 1, "{timing}: the chain was asked, not the facilitator");
    }
}

/// With signatures that nobody checks but the facilitator.
#[test]
fn unpaid_requests_call_nobody_and_paid_ones_once_each() {
    for signatures in ["facilitator", "here"] {
        let Remote { shop, facilitator } =
            Remote::open(Framework::Axum, |_, environment| environment.set("SIGNATURES", signatures));
        let at_start = facilitator.calls();
        assert_eq!((at_start.verify, at_start.settle), (0, 0));
        assert!(at_start.supported <= 1, "{at_start:?}");
        let good = shop.payment_for("/exact");
        let cheap = shop.payer.v2(&shop.ask("/cheap"));
        let unpaid = [
            Request::get("/exact"),
            Request::get("/free"),
            Request::get("/nowhere"),
            Request::get("/exact").header("PAYMENT-SIGNATURE", "nonsense"),
            Request::get("/exact").header("X-PAYMENT", "e30="),
            Request::get("/exact").paying(&cheap),
            Request::get("/exact").paying(&good.clone().with(|json| json["accepted"]["amount"] = "1".into())),
            Request::get("/exact")
                .paying(&good.with(|json| json["payload"]["authorization"]["validBefore"] = "1".into())),
        ];
        for request in unpaid.iter().cycle().take(200) {
            assert!(shop.send(request).header("delivery-token").is_none(), "{request:?}");
        }
        assert_eq!(facilitator.calls(), at_start, "signatures checked by the {signatures}");
        assert_eq!(paid_runs(&shop.server).len(), 0);

        for sold in 1..=10 {
            let request = Request::get("/exact").paying(&shop.payment_for("/exact"));
            for copy in ["first", "again"] {
                let response = shop.send(&request);
                assert_eq!(response.status, 200, "{copy}: {}", response.text());
                let wanted = Calls { verify: sold, settle: sold, ..at_start };
                assert_eq!(facilitator.calls(), wanted, "{copy}, signatures checked by the {signatures}");
            }
        }
        eventually("all transfers are there", || shop.transfers() == 10);
    }
}
