//! The stall behind `x402-axum`.

use std::{convert::Infallible, net};

use axum::{
    Router,
    extract::{State, WebSocketUpgrade, ws::WebSocket},
    response::{
        Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use futures_util::{Stream, StreamExt as _};
use x402_axum::{Paid, PaidContext, Paywall, core::testing::FakeFacilitator};

use super::{Events, engine};

#[tokio::main(flavor = "current_thread")]
pub(super) async fn serve(listener: net::TcpListener, till: Option<FakeFacilitator>, events: Events) {
    let app = Router::new()
        .route("/before/events", get(tell))
        .route("/after/events", get(tell))
        .route("/before/talk", get(talk))
        .route("/after/talk", get(talk))
        .route("/orders", post(order))
        .with_state(events);
    let app = match till {
        Some(facilitator) => app.layer(Paywall::from(engine(facilitator))),
        None => app,
    };
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    axum::serve(listener, app).await.unwrap();
}

async fn tell(State(events): State<Events>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(events.numbers().map(|number| Ok(Event::default().data(number.to_string()))))
}

async fn talk(paid: PaidContext, upgrade: WebSocketUpgrade) -> Response {
    assert!(paid.settlement.is_some(), "nobody talks for money that has not moved");
    upgrade.on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            break;
        }
    }
}

async fn order(paid: Paid<String>) -> String {
    assert!(paid.payment.settlement.is_some());
    format!("ordered: {}", paid.input)
}
