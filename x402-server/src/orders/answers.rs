//! What the order endpoints answer.

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS},
    },
    response::Response,
};
use serde::Serialize;
use serde_json::json;
use x402_core::{
    order::{Attention, DeliveryState, Order, OrderId, OrderStatus, PaymentState},
    time::UnixSeconds,
};

/// An order, as far as a payer may be told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderView<'a> {
    order_id: OrderId,
    status: OrderStatus,
    payment: PaymentState,
    delivery: DeliveryState,
    attention: Vec<Attention>,
    created_at: UnixSeconds,
    /// From when on its authorization cannot be settled.
    expires_at: UnixSeconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<&'a str>,
}

impl<'a> OrderView<'a> {
    pub(super) fn of(order: &'a Order, now: UnixSeconds) -> Self {
        let settled = order.settlement.as_ref().map(|settlement| settlement.transaction.as_str());
        Self {
            order_id: order.id,
            status: order.status(),
            payment: order.state.payment,
            delivery: order.state.delivery,
            attention: order.attention(now).collect(),
            created_at: order.created_at,
            expires_at: order.valid_before,
            transaction: settled.or(order.transaction.as_deref()),
        }
    }
}

pub(super) fn json(status: StatusCode, content: &impl Serialize) -> Response {
    let body = serde_json::to_vec(content).expect("answers have text for keys");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    sealed(response)
}

/// What is said of an order is for nobody else, and nothing but what it says it is.
pub(super) fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// 404: there is no such order, or it is none of their business.
pub(super) fn not_found() -> Response {
    json(StatusCode::NOT_FOUND, &json!({ "error": "not_found" }))
}

pub(super) fn conflict(code: &str, order: &Order) -> Response {
    json(StatusCode::CONFLICT, &json!({ "error": code, "state": order.state.payment }))
}

pub(super) fn unavailable() -> Response {
    let unavailable = json!({ "error": "store_unavailable" });
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &unavailable);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
