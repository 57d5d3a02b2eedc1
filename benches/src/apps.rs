use std::{
    convert::Infallible,
    hint::black_box,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{Router, body::Body, extract::Path, response::Response, routing::get};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt};
use x402_core::Engine;
use x402_tower::{Paywall, PaywallService};

/// One axum router, mounted in every way that is compared.
#[derive(Clone, Debug)]
pub struct Apps {
    /// The router itself.
    pub bare: Router,
    /// The router inside a paywall, as hyper would serve it.
    pub wrapped: PaywallService<Router>,
    /// The router with a layer that adds nothing.
    pub idle_layer: Router,
    /// The router with a paywall as its layer.
    pub paywall_layer: Router,
}

impl Apps {
    /// Mounts the router.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        let paywall = Paywall::from(engine.clone());
        Self {
            bare: router(),
            wrapped: paywall.layer(router()),
            idle_layer: router().layer(IdleLayer(Arc::from("state"))),
            paywall_layer: router().layer(x402_axum::Paywall::from(engine)),
        }
    }
}

/// Sends one request through a service and takes its response's body to the end, as a server would; the status.
pub async fn send<S, B>(service: &S, request: Request<Body>) -> StatusCode
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body + Unpin,
{
    let Ok(response) = service.clone().oneshot(request).await;
    let (head, mut body) = response.into_parts();
    while let Some(Ok(frame)) = body.frame().await {
        black_box(frame);
    }
    black_box(head).status
}

/// A `GET` request, with a payment or without.
///
/// # Panics
/// When the path or the payment does not fit into a request.
#[must_use]
pub fn request(path: &str, payment: Option<&Bytes>) -> Request<Body> {
    let request = Request::get(path).header("host", "api.example.com").header("accept", "application/json");
    let request = match payment {
        Some(payment) => request.header("payment-signature", payment.as_ref()),
        None => request,
    };
    request.body(Body::empty()).expect("path and payment fit into a request")
}

fn router() -> Router {
    Router::new().route("/forecast/{city}", get(weather)).route("/weather/{city}", get(weather))
}

async fn weather(Path(city): Path<String>) -> String {
    format!("{city}: sunny")
}

/// A layer with state, as most have, that adds nothing. A router boxes its routes anew for any layer.
#[derive(Clone, Debug)]
struct IdleLayer(Arc<str>);

impl<S> Layer<S> for IdleLayer {
    type Service = Idle<S>;

    fn layer(&self, inner: S) -> Idle<S> {
        Idle(inner, Arc::clone(&self.0))
    }
}

/// A service that only forwards.
#[derive(Clone, Debug)]
struct Idle<S>(S, #[allow(dead_code, reason = "carried along")] Arc<str>);

impl<S: Service<R>, R> Service<R> for Idle<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}

/// A path that costs nothing.
pub const FREE: &str = "/forecast/oslo";
/// A path that costs something.
pub const PRICED: &str = "/weather/oslo";
