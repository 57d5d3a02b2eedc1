//! Which path decides, in every composition of routers.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{ConnectInfo, Path},
    http::Uri,
    routing::get as on_get,
};
use tower::{ServiceBuilder, util::MapRequestLayer};
use x402_axum::{
    Engine, Paywall, Price, Prices,
    core::testing::{FakeFacilitator, TestPayer},
};

use crate::support::{get, paying, payment, paywall, request, send, text};

async fn weather(Path(city): Path<String>) -> String {
    format!("{city}: sunny")
}

fn api() -> Router {
    Router::new().route("/weather/{city}", on_get(weather)).route("/health", on_get(async || "well"))
}

#[tokio::test]
async fn the_path_that_was_sent_decides_in_every_composition() {
    let facilitator = FakeFacilitator::new();
    let paywall = paywall(&facilitator);
    let full = || {
        Router::new()
            .route("/api/weather/{city}", on_get(weather))
            .route("/api/health", on_get(async || "well"))
    };
    let apps = [
        ("outside", full().layer(paywall.clone())),
        ("nested, outside", Router::new().nest("/api", api()).layer(paywall.clone())),
        ("nested, inside", Router::new().nest("/api", api().layer(paywall.clone()))),
        ("nested, route layer", Router::new().nest("/api", api().route_layer(paywall.clone()))),
        ("as a service", Router::new().nest_service("/api", api().layer(paywall.clone()))),
        ("merged", Router::new().route("/", on_get(async || "home")).merge(full().layer(paywall.clone()))),
        ("as a fallback", Router::new().fallback_service(full().layer(paywall.clone()))),
        ("twice", Router::new().nest("/api", api().layer(paywall.clone())).layer(paywall.clone())),
    ];
    for (number, (name, app)) in apps.into_iter().enumerate() {
        let health = send(&app, get("/api/health")).await;
        assert_eq!(text(health).await, "well", "{name}");
        let payer = TestPayer::new(name);
        let header = payment(&app, "/api/weather/oslo", &payer).await;
        let response = send(&app, paying("/api/weather/oslo", &header)).await;
        assert_eq!(response.status(), 200, "{name}");
        assert_eq!(text(response).await, "oslo: sunny");
        assert_eq!(facilitator.transfers().len(), number + 1, "{name}");
        for (method, path, status) in [
            ("HEAD", "/api/weather/oslo", 402),
            ("OPTIONS", "/api/weather/oslo", 204),
            ("DELETE", "/api/weather/oslo", 405),
            ("GET", "/api/weather/%2e%2e", 400),
            ("GET", "/api//weather/oslo", 400),
        ] {
            let response = send(&app, request(method, path)).await;
            let missed = response.status() == 404;
            assert!(response.status() == status || missed && status == 400, "{name}: {method} {path}");
        }
    }
}

#[tokio::test]
async fn a_path_rewritten_before_the_router_is_the_rewritten_one() {
    let facilitator = FakeFacilitator::new();
    let inner = Router::new().route("/paid", on_get(async || "secret")).layer(paywall(&facilitator));
    let rewrite = MapRequestLayer::new(|mut request: axum::extract::Request| {
        *request.uri_mut() = Uri::from_static("/paid");
        request
    });
    let app = Router::new().fallback_service(ServiceBuilder::new().layer(rewrite).service(inner));
    assert_eq!(send(&app, get("/old")).await.status(), 402);
}

#[tokio::test]
async fn a_prefix_that_something_else_strips_opens_neither_path() {
    let facilitator = FakeFacilitator::new();
    let rewrite = |to: &'static str| {
        MapRequestLayer::new(move |mut request: axum::extract::Request| {
            *request.uri_mut() = Uri::from_static(to);
            request
        })
    };
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("GET /", "$0.01")
        .charge("GET /paid", "$0.01")
        .charge("GET /v1/dear", "$0.01")
        .build()
        .unwrap();
    let engine = Engine::builder(prices).facilitator(facilitator.clone()).build().unwrap();
    for (sent, now) in [("/en/paid", "/paid"), ("/en", "/"), ("/v1/dear", "/dear"), ("/v1/dear", "/other")] {
        let inner = Router::new()
            .route("/{*rest}", on_get(async || "secret"))
            .route("/", on_get(async || "secret"))
            .layer(Paywall::from(engine.clone()));
        let rewritten = || ServiceBuilder::new().layer(rewrite(now)).service(inner.clone());
        let app = Router::new().fallback_service(rewritten());
        assert_eq!(send(&app, get(sent)).await.status(), 402, "{sent} as {now}");
    }
}

#[tokio::test]
async fn what_is_nested_under_the_name_of_something_priced_is_free() {
    let wall = paywall(&FakeFacilitator::new());
    let inner = || {
        Router::new()
            .route("/paid", on_get(async || "free"))
            .route("/", on_get(async || "free"))
            .layer(wall.clone())
    };
    for app in [
        Router::new().nest("/{lang}/x", inner()),
        Router::new().nest("/{lang}", Router::new().nest("/x", inner())),
        Router::new().nest("/en", Router::new().nest_service("/{x}", inner())),
    ] {
        for path in ["/en/x/paid", "/en/x"] {
            assert_eq!(send(&app, get(path)).await.status(), 200, "{path}");
        }
    }
}

#[tokio::test]
async fn wildcards_cover_everything_beneath() {
    let app = Router::new()
        .route("/files/{*rest}", on_get(async || "file"))
        .layer(paywall(&FakeFacilitator::new()));
    for path in ["/files/a", "/files/a/b/c", "/files/a%20b", "/files/%C3%A9"] {
        assert_eq!(send(&app, get(path)).await.status(), 402, "{path}");
    }
    for path in ["/files/a/../b", "/files/a%2fb", "/files/%", "/files/a\\b"] {
        let Ok(uri) = path.parse::<Uri>() else { continue };
        let mut request = get("/");
        *request.uri_mut() = uri;
        assert_eq!(send(&app, request).await.status(), 400, "{path}");
    }
}

#[tokio::test]
async fn a_price_on_one_route() {
    let facilitator = FakeFacilitator::new();
    let paywall = paywall(&facilitator);
    let app = Router::new()
        .route("/report", on_get(async || "report").layer(paywall.charge("$0.02").unwrap()))
        .route("/about", on_get(async || "about"))
        .layer(paywall);
    assert_eq!(text(send(&app, get("/about")).await).await, "about");
    let challenge = send(&app, get("/report")).await;
    assert!(text(challenge).await.contains("\"20000\""));
    let header = payment(&app, "/report", &TestPayer::new("alice")).await;
    let response = send(&app, paying("/report", &header)).await;
    assert_eq!(text(response).await, "report");
    assert_eq!(facilitator.transfers().len(), 1);
}

#[tokio::test]
async fn prices_may_depend_on_the_peer() {
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge(
            "GET /paid",
            Price::dynamic(|request: x402_axum::core::head::RequestFacts| async move {
                Price::usd(if request.peer.is_some_and(|peer| peer.is_loopback()) { "0.01" } else { "0.05" })
            }),
        )
        .build()
        .unwrap();
    let engine = Engine::builder(prices).facilitator(FakeFacilitator::new()).build().unwrap();
    let app = Router::new().route("/paid", on_get(async || "paid")).layer(Paywall::from(engine));
    for (peer, amount) in [("127.0.0.1:4711", "\"10000\""), ("203.0.113.7:80", "\"50000\"")] {
        let mut request = get("/paid");
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        let body = text(send(&app, request).await).await;
        assert!(body.contains(amount), "{body}");
    }
}
