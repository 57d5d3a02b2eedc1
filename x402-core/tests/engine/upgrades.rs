//! Requests for a connection instead of a response.

use x402_core::{
    SettleTiming, Triage,
    price::{PriceRule, Prices},
    testing::{FakeClock, FakeFacilitator},
    time::UnixSeconds,
};

use crate::support::{Answer, NETWORK, NOW, PAY_TO, Request, World};

fn world() -> World {
    let timed = |timing| PriceRule::new("$0.001").settle(timing);
    let prices = Prices::new("https://api.example.com")
        .pay_to(NETWORK, PAY_TO)
        .charge("GET /after", "$0.001")
        .charge("CONNECT /after", "$0.001")
        .charge("GET /deferred", timed(SettleTiming::Deferred))
        .charge("GET,CONNECT /before", timed(SettleTiming::BeforeHandler))
        .charge("GET,CONNECT /late", PriceRule::new("$0.001").after_input())
        .charge("GET /late/after", timed(SettleTiming::AfterHandler).after_input())
        .build()
        .unwrap();
    World::over(prices, FakeFacilitator::new(), FakeClock::new(UnixSeconds::new(NOW)), |builder| builder)
}

#[tokio::test]
async fn they_are_refused_before_money_is_asked_for_unless_it_moves_first() {
    let world = world();
    let payment = world.pay(&Request::get("/after")).await;
    let websocket = |path| Request::get(path).header("connection", "Upgrade").header("upgrade", "websocket");
    let connect = |path| Request::new("CONNECT", path);
    for (request, refused) in [
        (websocket("/after"), true),
        (websocket("/after").paid(&payment), true),
        (websocket("/deferred"), true),
        (websocket("/late/after"), true),
        (connect("/after"), true),
        (Request::get("/after").header("upgrade", "h2c, WebSocket"), true),
        (Request::get("/after").header("upgrade", "h2c").header("upgrade", "websocket"), true),
        (Request::get("/after").header("upgrade", ""), true),
        (websocket("/before"), false),
        (connect("/before"), false),
        (websocket("/late"), false),
        (connect("/late"), false),
        // What clients offer along with ordinary requests.
        (
            Request::get("/after").header("connection", "Upgrade, HTTP2-Settings").header("upgrade", "h2c"),
            false,
        ),
        (Request::get("/after").header("upgrade", "TLS/1.2, HTTP/2.0"), false),
        (Request::get("/after").header("connection", "upgrade"), false),
    ] {
        let answer = match world.engine.triage(&request) {
            Triage::Reply(reply) => Answer::from(reply),
            Triage::Demand(_) => {
                assert!(!refused, "{request:?}");
                continue;
            }
            other => panic!("{request:?}: {other:?}"),
        };
        if refused {
            assert_eq!(
                (answer.status, answer.reason().as_str()),
                (400, "upgrade_not_offered"),
                "{request:?}"
            );
            assert!(!answer.has("payment-required"));
            assert_eq!(answer.get("cache-control"), Some(&b"no-store"[..]));
        } else {
            assert_eq!(answer.status, 402, "{request:?}");
        }
    }
    assert_eq!(world.facilitator.verify_calls(), 0);
}
