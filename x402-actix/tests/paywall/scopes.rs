//! Which path decides, in every composition of scopes.

use actix_web::{App, middleware::NormalizePath, test::init_service, web};
use x402_actix::core::testing::{FakeFacilitator, TestPayer};

use crate::support::{get, paying, payment, paywall, request, send};

async fn weather(city: web::Path<String>) -> String {
    format!("{city}: sunny")
}

fn routes(config: &mut web::ServiceConfig) {
    config.route("/weather/{city}", web::get().to(weather)).route("/health", web::get().to(async || "well"));
}

macro_rules! sells_weather {
    ($app:expr) => {{
        let facilitator = FakeFacilitator::new();
        let wall = paywall(&facilitator);
        let app = init_service($app(wall)).await;
        assert_eq!(send(&app, get("/api/health")).await.body, "well");
        let header = payment(&app, "/api/weather/oslo", &TestPayer::new("alice")).await;
        assert_eq!(send(&app, paying("/api/weather/oslo", &header)).await.body, "oslo: sunny");
        assert_eq!(facilitator.transfers().len(), 1);
        for (method, path) in [
            ("HEAD", "/api/weather/oslo"),
            ("GET", "/api/%77eather/oslo"),
            ("GET", "/api//weather/oslo"),
            ("GET", "//api/weather/oslo"),
            ("GET", "/api/weather/oslo/"),
            ("GET", "/api/health/../weather/oslo"),
        ] {
            let answer = send(&app, request(method, path)).await;
            assert!(!answer.body.contains("sunny"), "{method} {path}");
        }
        assert_eq!(facilitator.transfers().len(), 1);
    }};
}

#[actix_web::test]
async fn the_path_that_was_sent_decides_in_every_composition() {
    sells_weather!(|wall| App::new().wrap(wall).service(web::scope("/api").configure(routes)));
    sells_weather!(|wall| App::new().service(web::scope("/api").wrap(wall).configure(routes)));
    sells_weather!(|wall: x402_actix::Paywall| {
        App::new().wrap(wall.clone()).service(web::scope("/api").wrap(wall).configure(routes))
    });
    sells_weather!(|wall| {
        App::new().wrap(NormalizePath::trim()).wrap(wall).service(web::scope("/api").configure(routes))
    });
    sells_weather!(|wall| {
        let city = web::resource("/weather/{city}").wrap(wall).route(web::get().to(weather));
        App::new().service(web::scope("/api").route("/health", web::get().to(async || "well")).service(city))
    });
}

#[actix_web::test]
async fn a_path_that_is_decoded_in_part_is_not_free() {
    use x402_actix::{Engine, Paywall, Prices};
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("GET /premium/{name}", "$0.01")
        .free("GET /premium/c++")
        .build()
        .unwrap();
    let engine = Engine::builder(prices).facilitator(FakeFacilitator::new()).build().unwrap();
    let app = App::new()
        .wrap(Paywall::from(engine))
        .route("/premium/c++", web::get().to(async || "free"))
        .route("/premium/{name}", web::get().to(async || "secret"));
    let app = init_service(app).await;
    // actix-web decodes all but `%25`, `%2B` and `%2F`.
    for (path, body) in
        [("/premium/c++", "free"), ("/%70remium/c%2B%2B", "{\"error\""), ("/premium/c%2B+", "{\"error\"")]
    {
        let answer = send(&app, get(path)).await;
        assert!(answer.body.starts_with(body), "{path}: {}", answer.body);
    }
}

#[actix_web::test]
async fn outside_of_the_paywall_a_normalised_path_is_the_one_that_counts() {
    let facilitator = FakeFacilitator::new();
    let app = App::new()
        .wrap(paywall(&facilitator))
        .wrap(NormalizePath::trim())
        .service(web::scope("/api").configure(routes));
    let app = init_service(app).await;
    for path in ["/api/weather/oslo/", "/api//weather/oslo", "/api/weather/oslo"] {
        assert_eq!(send(&app, get(path)).await.status, 402, "{path}");
    }
}

#[actix_web::test]
async fn a_price_on_one_resource() {
    let facilitator = FakeFacilitator::new();
    let wall = paywall(&facilitator);
    let report = web::resource("/report").wrap(wall.charge("$0.02").unwrap()).to(async || "report");
    let app = App::new().wrap(wall).service(report).route("/about", web::get().to(async || "about"));
    let app = init_service(app).await;
    assert_eq!(send(&app, get("/about")).await.body, "about");
    assert!(send(&app, get("/report")).await.body.contains("\"20000\""));
    let header = payment(&app, "/report", &TestPayer::new("alice")).await;
    assert_eq!(send(&app, paying("/report", &header)).await.body, "report");
    assert_eq!(facilitator.transfers().len(), 1);
}

#[actix_web::test]
async fn what_was_paid_for_at_a_lower_price_further_out_is_not_sold() {
    for (inner, status, charged) in [("$0.02", 500, 0), ("$0.01", 200, 1)] {
        let facilitator = FakeFacilitator::new();
        let wall = paywall(&facilitator);
        let dear = web::resource("/paid").wrap(wall.charge(inner).unwrap()).to(async || "dear");
        let app = init_service(App::new().wrap(wall).service(dear)).await;
        let header = payment(&app, "/paid", &TestPayer::new("alice")).await;
        assert_eq!(send(&app, paying("/paid", &header)).await.status, status, "{inner}");
        assert_eq!(facilitator.transfers().len(), charged);
    }
}

#[actix_web::test]
async fn prices_may_depend_on_the_peer() {
    use x402_actix::{Engine, Paywall, Price, Prices, core::head::RequestFacts};
    let price = Price::dynamic(|request: RequestFacts| async move {
        Price::usd(if request.peer.is_some_and(|peer| peer.is_loopback()) { "0.01" } else { "0.05" })
    });
    let prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
        .charge("GET /paid", price)
        .build()
        .unwrap();
    let engine = Engine::builder(prices).facilitator(FakeFacilitator::new()).build().unwrap();
    let app = App::new().wrap(Paywall::from(engine)).route("/paid", web::get().to(async || "paid"));
    let app = init_service(app).await;
    for (peer, amount) in [("127.0.0.1:4711", "\"10000\""), ("203.0.113.7:80", "\"50000\"")] {
        let answer = send(&app, get("/paid").peer_addr(peer.parse().unwrap())).await;
        assert!(answer.body.contains(amount), "{}", answer.body);
    }
}
