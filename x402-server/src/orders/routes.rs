//! The three routes.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    middleware::map_response,
    response::Response,
    routing::{get, post},
};
use x402_core::{
    order::{Order, OrderStore, StoreError, proof::ProofRecord},
    time::{Clock, SystemClock, UnixSeconds},
};

use super::{
    Access,
    access::Right,
    answers::{self, OrderView},
    cancel::cancel,
};
use crate::lookup;

/// The order endpoints over a store, to be merged or nested where the operator likes.
///
/// See the [module docs](super) for what they answer and to whom.
pub fn router(store: impl OrderStore + 'static, access: Access) -> Router {
    let store: Arc<dyn OrderStore> = Arc::new(store);
    Router::new()
        .route("/orders/{id}", get(show))
        .route("/orders/{id}/proof", get(proof))
        .route("/orders/{id}/cancel", post(withdraw))
        // What the router itself answers, too: 405.
        .layer(map_response(async |response: Response| answers::sealed(response)))
        .with_state(Shared { store, access: Arc::new(access) })
}

#[derive(Clone)]
struct Shared {
    store: Arc<dyn OrderStore>,
    access: Arc<Access>,
}

async fn show(State(shared): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let now = SystemClock.now();
    match shared.find(&id, &headers, now).await {
        Ok((order, _)) => answers::json(StatusCode::OK, &OrderView::of(&order, now)),
        Err(refused) => *refused,
    }
}

async fn proof(State(shared): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let order = match shared.find(&id, &headers, SystemClock.now()).await {
        Ok((order, _)) if !order.is_settled() => return answers::conflict("not_settled", &order),
        Ok((order, _)) => order,
        Err(refused) => return *refused,
    };
    match shared.store.history(&order.key).await {
        Ok(history) => answers::json(StatusCode::OK, &ProofRecord::of(&order, history)),
        Err(error) => store_failed(&error),
    }
}

async fn withdraw(State(shared): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let now = SystemClock.now();
    let (order, right) = match shared.find(&id, &headers, now).await {
        Ok(found) => found,
        Err(refused) => return *refused,
    };
    // In a task of its own: a client that leaves does not stop it half way.
    let store = Arc::clone(&shared.store);
    let before = order.state.payment;
    match tokio::spawn(async move { cancel(&*store, order, now).await }).await {
        Ok(Ok(Ok(order))) => {
            tracing::info!(order = %order.id, by = ?right, ?before, "order cancelled");
            answers::json(StatusCode::OK, &OrderView::of(&order, now))
        }
        Ok(Ok(Err(order))) => answers::conflict("not_cancellable", &order),
        Ok(Err(error)) => store_failed(&error),
        Err(error) => {
            tracing::error!(%error, "cancelling an order failed");
            answers::unavailable()
        }
    }
}

impl Shared {
    /// The order, for who has a right to it. The store is asked for nobody else.
    async fn find(
        &self,
        id: &str,
        headers: &HeaderMap,
        now: UnixSeconds,
    ) -> Result<(Order, Right), Box<Response>> {
        let refused = || Box::new(answers::not_found());
        let id = id.parse().map_err(|_| refused())?;
        let right = self.access.right(headers, &id).ok_or_else(refused)?;
        let found = lookup::by_id(&*self.store, id, now).await;
        let found = found.map_err(|error| Box::new(store_failed(&error)))?;
        Ok((found.ok_or_else(refused)?, right))
    }
}

fn store_failed(error: &StoreError) -> Response {
    tracing::error!(%error, "order store failed");
    answers::unavailable()
}
