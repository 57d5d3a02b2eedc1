//! WebSockets: a connection is sold only by routes whose money moves first.

use std::net::TcpStream;

use tungstenite::{
    Error, HandshakeError, Message, WebSocket,
    client::{IntoClientRequest as _, client},
    handshake::client::Response,
};
use x402_tests::{Framework, Request};

use crate::stall::{EVERY, Stall};

#[test]
fn a_real_client_pays_and_talks_where_the_money_moves_first() {
    for framework in [Framework::Axum, Framework::Actix] {
        let stall = Stall::open(framework);
        let challenge = connect(&stall, "/before/talk", None).unwrap_err();
        assert_eq!(challenge.status(), 402, "{framework}");
        let payment = stall.payer.pay_v2(challenge.headers()["payment-required"].as_bytes());

        let (mut socket, head) = connect(&stall, "/before/talk", Some(&payment)).unwrap();
        assert!(head.headers().contains_key("payment-response"), "{framework}");
        assert_eq!(stall.transfers(), 1, "{framework}");
        for word in ["hello", "and good-bye"] {
            socket.send(Message::text(word)).unwrap();
            assert_eq!(socket.read().unwrap().into_text().unwrap().as_str(), word, "{framework}");
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}

        // It bought one connection.
        let again = connect(&stall, "/before/talk", Some(&payment)).unwrap_err();
        assert_eq!(again.status(), 409, "{framework}");
        assert_eq!(stall.transfers(), 1, "{framework}");
    }
}

#[test]
fn anywhere_else_it_is_refused_before_money_is_asked_for() {
    for framework in EVERY {
        let stall = Stall::open(framework);
        let payment = stall.payment(&Request::get("/after/talk"));
        for paying in [None, Some(&payment[..])] {
            let refused = connect(&stall, "/after/talk", paying).unwrap_err();
            assert_eq!(refused.status(), 400, "{framework}");
            assert_eq!(
                refused.body().as_deref(),
                Some(&b"{\"error\":\"upgrade_not_offered\"}"[..]),
                "{framework}"
            );
            assert!(!refused.headers().contains_key("payment-required"), "{framework}");
        }
        assert_eq!((stall.facilitator.verify_calls(), stall.transfers()), (0, 0), "{framework}");
    }
}

#[allow(clippy::result_large_err, reason = "a test's own")]
fn connect(
    stall: &Stall,
    path: &str,
    payment: Option<&[u8]>,
) -> Result<(WebSocket<TcpStream>, Response), Response> {
    let mut request = format!("ws://{}{path}", stall.address).into_client_request().unwrap();
    if let Some(payment) = payment {
        request.headers_mut().insert("payment-signature", payment.try_into().unwrap());
    }
    match client(request, TcpStream::connect(stall.address).unwrap()) {
        Ok(connected) => Ok(connected),
        Err(HandshakeError::Failure(Error::Http(refused))) => Err(*refused),
        Err(error) => panic!("{error}"),
    }
}
