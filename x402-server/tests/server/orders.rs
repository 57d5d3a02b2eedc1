//! The order endpoints: who is told what.

use std::sync::Arc;

#[cfg(all(feature = "cli", feature = "postgres", feature = "redis", feature = "sqlite"))]
use super::places::Place;
use super::support::{QUERY_SECRET, RESPONSE_SECRET, Shop};
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use x402_core::{
    order::{MemoryStore, OrderStore, proof::ProofRecord},
    quote::QuoteKey,
};
use x402_server::orders::{self, Access, OperatorToken};

const OPERATOR: &str = "an operator's secret";

/// A shop, and its order endpoints.
struct World {
    shop: Shop,
    app: Router,
    /// What ends with the test.
    _place: Option<Box<dyn std::any::Any + Send>>,
}

struct Answer {
    status: StatusCode,
    text: String,
}

impl World {
    fn over(store: Arc<dyn OrderStore>) -> Self {
        let shop = Shop::over(Arc::clone(&store), QuoteKey::random());
        let access = Access::new()
            .operator(OperatorToken::new(OPERATOR).unwrap())
            .order_tokens(shop.engine.order_tokens().clone());
        Self { app: orders::router(store, access), shop, _place: None }
    }

    #[cfg(all(feature = "cli", feature = "postgres", feature = "redis", feature = "sqlite"))]
    async fn at(place: Place) -> Self {
        let store = place.store().await;
        Self { _place: Some(Box::new(place)), ..Self::over(store) }
    }

    async fn ask(&self, method: &str, path: &str, token: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = self.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        assert_eq!(head.headers["cache-control"], "no-store", "{path}");
        assert_eq!(head.headers["x-content-type-options"], "nosniff", "{path}");
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        if !text.is_empty() {
            assert_eq!(head.headers["content-type"], "application/json", "{path}");
        }
        for secret in [QUERY_SECRET, RESPONSE_SECRET, OPERATOR] {
            assert!(!text.contains(secret), "{path}: {text}");
        }
        Answer { status: head.status, text }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Some(OPERATOR)).await
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn is(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.json()["error"].as_str()),
            (status, Some(code)),
            "{}",
            self.text
        );
    }
}

macro_rules! in_memory {
    ($($story:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::World::over(std::sync::Arc::new(super::MemoryStore::new()))).await;
            })*
        }
    };
}

in_memory! {
    each_right_opens_what_it_should_and_nothing_else
    unknown_and_forbidden_look_the_same
    a_proof_is_there_once_the_money_moved
    only_what_was_not_begun_can_be_cancelled
    nothing_is_changed_by_looking
}

#[cfg(all(feature = "cli", feature = "postgres", feature = "redis", feature = "sqlite"))]
super::places::over_every_place! {
    each_right_opens_what_it_should_and_nothing_else
    unknown_and_forbidden_look_the_same
    a_proof_is_there_once_the_money_moved
    only_what_was_not_begun_can_be_cancelled
    nothing_is_changed_by_looking
}

async fn each_right_opens_what_it_should_and_nothing_else(world: World) {
    let (order, other) = (world.shop.sell("/weather/oslo").await, world.shop.sell("/dear").await);
    let (id, other) = (order.context.order_id, other.context.order_id);
    let engine = &world.shop.engine;
    let (own, others) = (engine.order_token(&id), engine.order_token(&other));
    let (id, wrong) = (id.to_string(), format!("{OPERATOR}!"));
    let payment = String::from_utf8(order.payment.to_vec()).unwrap();
    for (route, method) in [("", "GET"), ("/proof", "GET"), ("/cancel", "POST")] {
        let path = format!("/orders/{id}{route}");
        for (token, allowed) in [
            (Some(OPERATOR), true),
            (Some(own.as_str()), true),
            (Some(others.as_str()), false),
            (Some(id.as_str()), false),
            (Some(payment.as_str()), false),
            (Some(wrong.as_str()), false),
            (Some(""), false),
            (None, false),
        ] {
            let answer = world.ask(method, &path, token).await;
            assert_eq!(answer.status != StatusCode::NOT_FOUND, allowed, "{method} {path} {token:?}");
        }
    }
    let seen = world.ask("GET", &format!("/orders/{id}"), Some(own.as_str())).await.json();
    assert_eq!((&seen["status"], &seen["payment"]), (&"completed".into(), &"settled".into()));
    let transaction = &world.shop.facilitator.settlement(&order.context.payment_key).unwrap().transaction;
    assert_eq!(seen["transaction"], transaction.as_str());
    assert!(seen["expiresAt"].is_u64() && seen["attention"].as_array().unwrap().is_empty());
}

async fn unknown_and_forbidden_look_the_same(world: World) {
    let there = world.shop.sell("/weather/oslo").await.context.order_id.to_string();
    let absent = "0".repeat(32);
    for route in ["", "/proof"] {
        let forbidden = world.ask("GET", &format!("/orders/{there}{route}"), Some("guessed token")).await;
        forbidden.is(404, "not_found");
        for (id, token) in [
            (absent.as_str(), Some(OPERATOR)),
            (absent.as_str(), None),
            (absent.as_str(), Some("guessed token")),
            ("no-order", Some(OPERATOR)),
            (&there.to_uppercase(), Some("guessed token")),
            ("%00", Some(OPERATOR)),
        ] {
            let answer = world.ask("GET", &format!("/orders/{id}{route}"), token).await;
            assert_eq!((answer.status, &answer.text), (forbidden.status, &forbidden.text), "{id} {token:?}");
        }
    }
}

async fn a_proof_is_there_once_the_money_moved(world: World) {
    let failed = world.shop.fail("/weather/oslo").await.context.order_id;
    let early = world.get(&format!("/orders/{failed}/proof")).await;
    early.is(409, "not_settled");
    assert_eq!(early.json()["state"], "verified");
    let sale = world.shop.sell("/weather/oslo").await;
    let answer = world.get(&format!("/orders/{}/proof", sale.context.order_id)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let record: ProofRecord = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(record.identity.payment_key, sale.context.payment_key);
    assert_eq!(record.terms.amount_settled, Some(sale.context.amount));
    assert!(!answer.text.contains(std::str::from_utf8(&sale.payment).unwrap()));
}

async fn only_what_was_not_begun_can_be_cancelled(world: World) {
    let cancel = async |id: &str| world.ask("POST", &format!("/orders/{id}/cancel"), Some(OPERATOR)).await;
    let failed = world.shop.fail("/weather/oslo").await.context.order_id.to_string();
    let cancelled = cancel(&failed).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.text);
    assert_eq!(
        (&cancelled.json()["status"], &cancelled.json()["payment"]),
        (&"failed".into(), &"rejected".into())
    );
    let again = cancel(&failed).await;
    again.is(409, "not_cancellable");
    assert_eq!(again.json()["state"], "rejected");

    let (ticket, _) = world.shop.enter("/weather/oslo").await;
    let held = cancel(&ticket.context().order_id.to_string()).await;
    held.is(409, "not_cancellable");
    assert_eq!(held.json()["state"], "verified", "somebody works on it");
    drop(ticket);

    let unknown = world.shop.lose_track("/dear").await.context.order_id.to_string();
    let lost = world.shop.lose("/dear").await.context.order_id.to_string();
    let sold = world.shop.sell("/dear").await.context.order_id.to_string();
    for (id, state) in [(unknown, "unresolved"), (lost, "settled"), (sold, "settled")] {
        let answer = cancel(&id).await;
        answer.is(409, "not_cancellable");
        assert_eq!(answer.json()["state"], state);
    }
}

async fn nothing_is_changed_by_looking(world: World) {
    let id = world.shop.fail("/weather/oslo").await.context.order_id;
    let path = format!("/orders/{id}");
    let before = world.get(&path).await.text;
    for (method, route, status) in [
        ("GET", "/cancel", 405),
        ("HEAD", "/cancel", 405),
        ("POST", "", 405),
        ("DELETE", "", 405),
        ("POST", "/proof", 405),
    ] {
        let answer = world.ask(method, &format!("{path}{route}"), Some(OPERATOR)).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {route}");
    }
    assert_eq!(world.get(&path).await.text, before);
}

#[tokio::test]
async fn a_handed_out_token_outlives_its_key_as_a_previous_one() {
    let key = QuoteKey::random();
    let store: Arc<dyn OrderStore> = Arc::new(MemoryStore::new());
    let shop = Shop::over(Arc::clone(&store), key.clone());
    let id = shop.sell("/weather/oslo").await.context.order_id;
    let token = shop.engine.order_token(&id);
    let next = QuoteKey::random();
    for (previous, status) in [(&[][..], 404), (&[key][..], 200)] {
        let tokens = x402_core::order::OrderTokens::new(&next, previous);
        let app = orders::router(Arc::clone(&store), Access::new().order_tokens(tokens));
        let request = Request::get(format!("/orders/{id}"))
            .header("authorization", format!("Bearer {}", token.as_str()))
            .body(Body::empty())
            .unwrap();
        assert_eq!(app.oneshot(request).await.unwrap().status().as_u16(), status);
    }
}
