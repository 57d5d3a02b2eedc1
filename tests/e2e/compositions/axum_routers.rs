//! axum: nested, merged, as a service, with layers that rewrite paths in front.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
    routing::{MethodRouter, any},
};
use tower::{Layer, ServiceExt};
use tower_http::normalize_path::NormalizePathLayer;
use x402_axum::Paywall;

use super::{Till, what_ran_was_charged};

fn costs(till: &Till, price: u64) -> MethodRouter {
    let till = till.clone();
    any(move || {
        till.run(price);
        async { "sold" }
    })
}

fn free() -> MethodRouter {
    any(async || "free")
}

fn api(till: &Till) -> Router {
    Router::new().route("/report", costs(till, 20)).route("/{id}", costs(till, 300)).route("/free/x", free())
}

fn deep(till: &Till) -> Router {
    let x = Router::new().route("/x", costs(till, 4000));
    Router::new().nest("/deep", x).route("/free", free())
}

fn merged(till: &Till) -> Router {
    Router::new().route("/merged", costs(till, 50_000)).route("/cheap", costs(till, 1))
}

fn files(till: &Till) -> Router {
    Router::new().route("/files/{*rest}", costs(till, 600_000)).route("/files/free.txt", free())
}

/// All parts in one router, each wrapped.
fn parts(till: &Till, wrap: impl Fn(Router) -> Router) -> Router {
    Router::new()
        .nest("/api", wrap(api(till)))
        .nest("/v1", wrap(deep(till)))
        .merge(wrap(merged(till)))
        .merge(wrap(files(till)))
        .route("/free", free())
}

/// Each with what it is called.
fn apps(till: &Till, paywall: &Paywall) -> Vec<(&'static str, Router)> {
    let priced = |router: Router| router.layer(paywall.clone());
    let bare = || parts(till, |router| router);
    let services = Router::new()
        .nest_service("/api", priced(api(till)))
        .nest_service("/v1", priced(deep(till)))
        .fallback_service(priced(merged(till).merge(files(till))));
    let normalized = NormalizePathLayer::trim_trailing_slash().layer(priced(bare()));
    vec![
        ("outside", priced(bare())),
        ("inside", parts(till, priced)),
        ("as services", services),
        ("twice", priced(parts(till, priced))),
        ("with a fallback", priced(bare().fallback(async || "nothing here"))),
        ("normalized in front", Router::new().fallback_service(normalized)),
    ]
}

#[test]
fn every_composition_of_axum_routers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let till = Till::new();
    let paywall = Paywall::from(runtime.block_on(async { till.engine() }));
    for (name, app) in apps(&till, &paywall) {
        what_ran_was_charged(&till, name, |method, target, payment| {
            let mut request = Request::builder().method(method).uri(target);
            if let Some(payment) = payment {
                request = request.header("x-payment", payment);
            }
            let request = request.body(Body::empty()).ok()?;
            runtime.block_on(async {
                let response = app.clone().oneshot(request).await.unwrap();
                Some(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
            })
        });
    }
}
