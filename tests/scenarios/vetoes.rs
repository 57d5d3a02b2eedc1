//! Hooks that say no: 403 with their code, and nobody is charged.

use x402_tests::{Books, Framework, Request, Shop};

through_every_adapter!(a_veto_is_told_and_charges_nobody, a_vetoed_challenge_asks_for_nothing);

fn a_veto_is_told_and_charges_nobody(framework: Framework) {
    for (step, runs) in [("before_verify", 0), ("after_verify", 0), ("before_settle", 1)] {
        let shop = Shop::open_with(framework, |_, environment| environment.set("VETO_AT", step));
        let payment = shop.payment_for("/exact");
        for presented in 1..=2 {
            let response = shop.send(&Request::get("/exact").paying(&payment));
            assert_eq!((response.status, response.code().as_str()), (403, "vetoed_by_operator"), "{step}");
            assert_eq!(response.header("delivery-token"), None, "nothing of the handler's leaves: {step}");
            assert_eq!(response.header("payment-required"), None, "{step}");
            assert_eq!(response.header("payment-response"), None, "{step}");
            assert_eq!(response.header("cache-control"), Some("no-store"));
            let ran = [("GET /exact", runs * presented)];
            assert_eq!(shop.books(), Books::of(if runs == 0 { &[] } else { &ran }, 0, 0), "{step}");
        }
    }
}

fn a_vetoed_challenge_asks_for_nothing(framework: Framework) {
    let shop = Shop::open_with(framework, |_, environment| environment.set("VETO_AT", "challenge"));
    let response = shop.send(&Request::get("/exact"));
    assert_eq!((response.status, response.code().as_str()), (403, "vetoed_by_operator"));
    assert_eq!(response.header("payment-required"), None);
    assert_eq!(shop.books(), Books::empty());
}
