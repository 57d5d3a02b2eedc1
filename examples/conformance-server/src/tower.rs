//! The handlers behind `x402-tower`: a bare service on hyper.

use std::{convert::Infallible, net::TcpListener, sync::Arc, time::Duration};

use http::{Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Either, Limited};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpStream;
use tower::{Layer as _, ServiceExt as _, service_fn, util::MapRequestLayer};
use x402_core::{Charge, Engine, PaidContext};
use x402_tower::{Paywall, PeerAddr, RequestBody};

use crate::{
    BoxError,
    answer::{Answer, AnswerBody},
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
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let paywall = Paywall::from(engine.clone()).bind_bodies();
    let routes = Arc::new(routes()?);
    let connections = GracefulShutdown::new();
    let mut ended = std::pin::pin!(ending.drained());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ended => break,
        };
        let (stream, peer): (TcpStream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(AFTER_REFUSAL).await;
                continue;
            }
        };
        let (handlers, routes) = (Arc::clone(&handlers), Arc::clone(&routes));
        let handler = service_fn(move |request| {
            let (handlers, routes) = (Arc::clone(&handlers), Arc::clone(&routes));
            async move { Ok::<_, Infallible>(handle(&handlers, &routes, request).await) }
        });
        let (sold, engine) = (paywall.layer(handler), engine.clone());
        let service = service_fn(move |request: Request<_>| {
            let (sold, engine) = (sold.clone(), engine.clone());
            async move {
                if request.uri().path() == READY {
                    let ready: Response<AnswerBody> = readiness(&engine).await.into();
                    return Ok(ready.map(Either::Left));
                }
                sold.oneshot(request).await.map(|response| response.map(Either::Right))
            }
        });
        let tell_peer = MapRequestLayer::new(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(PeerAddr(peer));
            // A body that was read for its payment goes on as bytes.
            request.map(RequestBody::new)
        });
        let service = TowerToHyperService::new(tell_peer.layer(service));
        let builder = auto::Builder::new(TokioExecutor::new());
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        });
    }
    connections.shutdown().await;
    Ok(())
}

type Routes = matchit::Router<Route>;

fn routes() -> Result<Routes, BoxError> {
    let mut routes = Routes::new();
    for route in Route::ALL {
        routes.insert(route.path(), route)?;
    }
    Ok(routes)
}

async fn handle(
    handlers: &Handlers,
    routes: &Routes,
    request: Request<RequestBody<Incoming>>,
) -> Response<AnswerBody> {
    let (parts, body) = request.into_parts();
    let Ok(found) = routes.at(parts.uri.path()) else { return Answer::text(404, "not found").into() };
    let route = *found.value;
    if !route.serves(parts.method.as_str()) {
        return Answer::text(405, "method not allowed").into();
    }
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        return Answer::text(400, "the body broke or is too long").into();
    };
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let call = Call {
        route,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        content_type: kind.map(str::to_owned),
        body: body.to_bytes(),
        paid: parts.extensions.get::<PaidContext>().cloned(),
        charge: parts.extensions.get::<Charge>().cloned(),
    };
    handlers.handle(call).await.into()
}

const BODY_LIMIT: usize = 2 * 1024 * 1024;
const AFTER_REFUSAL: Duration = Duration::from_millis(100);
