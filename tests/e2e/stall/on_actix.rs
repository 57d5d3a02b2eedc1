//! The stall behind `x402-actix`.

use std::{convert::Infallible, net};

use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer,
    middleware::Condition,
    rt::{self, System},
    web,
};
use futures_util::StreamExt as _;
use x402_actix::{Paid, PaidContext, Paywall};
use x402_axum::core::testing::FakeFacilitator;

use super::{Events, engine};

pub(super) fn serve(listener: net::TcpListener, till: Option<FakeFacilitator>, events: Events) {
    System::new().block_on(async move {
        let sells = till.is_some();
        let paywall = Paywall::from(engine(till.unwrap_or_default()));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::new(events.clone()))
                .wrap(Condition::new(sells, paywall.clone()))
                .route("/before/events", web::get().to(tell))
                .route("/after/events", web::get().to(tell))
                .route("/before/talk", web::get().to(talk))
                .route("/after/talk", web::get().to(talk))
                .route("/orders", web::post().to(order))
        });
        server.workers(1).disable_signals().listen(listener).unwrap().run().await.unwrap();
    });
}

async fn tell(events: web::Data<Events>) -> HttpResponse {
    let lines = events.lines().map(|line| Ok::<_, Infallible>(web::Bytes::from(line)));
    HttpResponse::Ok().content_type("text/event-stream").streaming(Box::pin(lines))
}

async fn talk(paid: PaidContext, request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Error> {
    assert!(paid.settlement.is_some(), "nobody talks for money that has not moved");
    let (response, mut session, mut messages) = actix_ws::handle(&request, body)?;
    rt::spawn(async move {
        while let Some(Ok(message)) = messages.recv().await {
            let sent = match message {
                actix_ws::Message::Text(text) => session.text(text).await,
                actix_ws::Message::Close(reason) => return session.close(reason).await,
                _ => Ok(()),
            };
            sent?;
        }
        Ok(())
    });
    Ok(response)
}

async fn order(paid: Paid<String>) -> String {
    assert!(paid.payment.settlement.is_some());
    format!("ordered: {}", paid.input)
}
