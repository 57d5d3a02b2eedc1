//! The handlers behind `x402-axum`.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{OriginalUri, State},
    http::{HeaderMap, header::CONTENT_TYPE},
    response::Response,
    routing::{MethodRouter, get, post},
};
use x402_axum::{Charge, PaidContext, Paywall};
use x402_core::Engine;

use crate::{
    BoxError,
    answer::Answer,
    handlers::{Call, Handlers, readiness},
    routes::{READY, Route},
    shutdown::Shutdown,
};

/// Serves until the process is asked to end.
pub(crate) async fn serve(
    engine: Engine,
    handlers: Arc<Handlers>,
    listener: TcpListener,
    ending: Shutdown,
) -> Result<(), BoxError> {
    let app = app(engine, handlers).into_make_service_with_connect_info::<SocketAddr>();
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, app).with_graceful_shutdown(ending.drained()).await?;
    Ok(())
}

fn app(engine: Engine, handlers: Arc<Handlers>) -> Router {
    let routes =
        Route::ALL.into_iter().fold(Router::new(), |router, route| router.route(route.path(), method(route)));
    let ready = get({
        let engine = engine.clone();
        async move || respond(readiness(&engine).await)
    });
    routes.layer(Paywall::from(engine)).route(READY, ready).with_state(handlers)
}

fn method(route: Route) -> MethodRouter<Arc<Handlers>> {
    let handler = async move |State(handlers): State<Arc<Handlers>>,
                              OriginalUri(uri): OriginalUri,
                              paid: Option<PaidContext>,
                              charge: Option<Charge>,
                              headers: HeaderMap,
                              body: Bytes|
                -> Response {
        let call = Call {
            route,
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
            content_type: headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned),
            body,
            paid: paid.map(|paid| paid.0),
            charge: charge.map(|charge| charge.0),
        };
        respond(handlers.handle(call).await)
    };
    if route.serves("GET") { get(handler) } else { post(handler) }
}

fn respond(answer: Answer) -> Response {
    let response: axum::http::Response<_> = answer.into();
    response.map(Body::new)
}
