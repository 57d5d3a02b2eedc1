//! The handlers behind `x402-actix`.

use std::{net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, Resource,
    body::BoxBody,
    guard,
    http::{StatusCode, header::CONTENT_TYPE},
    web::{self, Bytes, Data},
};
use x402_actix::{Charge, PaidContext, Paywall};
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
    let handlers = Data::from(handlers);
    let server = HttpServer::new(move || {
        let sold = web::scope("").wrap(Paywall::from(engine.clone()));
        let sold = Route::ALL.into_iter().fold(sold, |sold, route| sold.service(resource(route)));
        App::new()
            .app_data(Data::clone(&handlers))
            .app_data(Data::new(engine.clone()))
            .route(READY, web::get().to(ready))
            .service(sold)
    });
    let server =
        server.workers(WORKERS).shutdown_timeout(GRACE_SECONDS).disable_signals().listen(listener)?.run();
    let handle = server.handle();
    tokio::spawn(async move {
        ending.drained().await;
        handle.stop(true).await;
    });
    server.await?;
    Ok(())
}

fn resource(route: Route) -> Resource {
    let handler = move |handlers: Data<Handlers>,
                        request: HttpRequest,
                        paid: Option<PaidContext>,
                        charge: Option<Charge>,
                        body: Bytes| async move {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let call = Call {
            route,
            path: request.uri().path().to_owned(),
            query: request.uri().query().map(str::to_owned),
            content_type: kind.map(str::to_owned),
            body,
            paid: paid.map(|paid| paid.0),
            charge: charge.map(|charge| charge.0),
        };
        response(handlers.handle(call).await)
    };
    let served = guard::fn_guard(move |context| route.serves(context.head().method.as_str()));
    // actix writes what axum writes as `{*rest}` as `{rest:.*}`.
    let path = route.path().replace("{*rest}", "{rest:.+}");
    web::resource(path).route(web::route().guard(served).to(handler))
}

async fn ready(engine: Data<Engine>) -> HttpResponse<BoxBody> {
    response(readiness(&engine).await)
}

fn response(answer: Answer) -> HttpResponse<BoxBody> {
    let status = StatusCode::from_u16(answer.status).expect("handlers send valid statuses");
    let mut response = HttpResponse::build(status);
    for header in answer.headers {
        response.append_header((header.0, &*header.1));
    }
    response.body(BoxBody::new(answer.body))
}

const WORKERS: usize = 2;
const GRACE_SECONDS: u64 = 3;
