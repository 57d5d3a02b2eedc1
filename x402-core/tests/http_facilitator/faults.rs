//! What a facilitator may do instead of answering.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;
use x402_core::facilitator::{Facilitator, HttpFacilitator, SettleError, VerifyError};

use super::{
    fixture::{TRANSACTION, good, settled, signature},
    server::{Act, Server, answer},
};

/// Every fault, by name. The bodies would be good ones for both calls, were they whole and in their place.
fn faults() -> Vec<(&'static str, Act)> {
    let good = json!({
        "isValid": true, "success": true, "transaction": TRANSACTION, "network": "eip155:84532",
    })
    .to_string();
    let json = "application/json";
    let bytes = |status: &str, kind: &str, body: &str| Act::Bytes(answer(status, kind, body));
    let redirect = |status: u16| {
        let head = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: /elsewhere\r\ncontent-length: {}\r\n\r\n",
            good.len()
        );
        Act::Bytes(format!("{head}{good}").into_bytes())
    };
    vec![
        ("hangs", Act::Hang),
        ("hangs within the head", Act::Stall(b"HTTP/1.1 200 OK\r\ncontent-".to_vec())),
        ("hangs within the body", Act::Stall(answer("200 OK", json, &good)[..80].to_vec())),
        ("drips", Act::Drip),
        ("too many requests", bytes("429 Too Many Requests", json, r#"{"error":"slow down"}"#)),
        ("internal error", bytes("500 Internal Server Error", json, r#"{"error":"isValid"}"#)),
        ("unauthorized", bytes("401 Unauthorized", "text/plain", "no")),
        ("empty", bytes("200 OK", json, "")),
        ("no content", Act::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())),
        ("a page", bytes("200 OK", "text/html", "<html><body>welcome</body></html>")),
        ("a page of an error", bytes("502 Bad Gateway", "text/html", "<html>bad gateway</html>")),
        ("truncated JSON", bytes("200 OK", json, &good[..good.len() - 1])),
        ("more than JSON", bytes("200 OK", json, &format!("{good}{good}"))),
        ("broken off", Act::Bytes(answer("200 OK", json, &good)[..90].to_vec())),
        ("flag is text", bytes("200 OK", json, &good.replace("true", "\"true\""))),
        ("flag is a number", bytes("200 OK", json, &good.replace("true", "1"))),
        ("flag is null", bytes("200 OK", json, &good.replace("true", "null"))),
        ("flag twice", bytes("200 OK", json, &good.replace('{', r#"{"isValid":true,"success":true,"#))),
        ("flag missing", bytes("200 OK", json, r#"{"transaction":"","network":""}"#)),
        ("payer is a number", bytes("200 OK", json, &good.replace('{', r#"{"payer":1,"#))),
        ("an array of members", bytes("200 OK", json, "[true]")),
        ("a string", bytes("200 OK", json, "\"ok\"")),
        ("deep", bytes("200 OK", json, &"[".repeat(100_000))),
        ("compressed", bytes("200 OK\r\ncontent-encoding: gzip", json, "\u{1f}not really")),
        ("long and told", Act::Long { bytes: 8 << 20, told: true }),
        ("long and not told", Act::Long { bytes: 8 << 20, told: false }),
        ("moved", redirect(301)),
        ("found", redirect(302)),
        ("temporary redirect", redirect(307)),
        ("reset", Act::Reset),
        ("closed", Act::Bytes(Vec::new())),
        ("not HTTP", Act::Bytes(b"SSH-2.0-OpenSSH\r\n".to_vec())),
    ]
}

#[tokio::test]
async fn a_verification_without_an_answer_is_unavailable() {
    let payment = good();
    for (name, act) in faults() {
        let server = Server::start([act]).await;
        let begun = Instant::now();
        let error = server.impatient().verify(&payment).await.expect_err(name);
        assert!(matches!(error, VerifyError::Unavailable(_)), "{name}: {error:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{name} took {:?}", begun.elapsed());
        assert_eq!(server.asked().len(), 1, "{name}: asked once and nowhere else");
        assert_harmless(name, &error.to_string(), &server);
    }
}

#[tokio::test]
async fn a_settlement_without_an_answer_is_unresolved_and_never_sent_again() {
    let payment = good();
    for (name, act) in faults() {
        let server = Server::start([act]).await;
        let begun = Instant::now();
        let error = server.impatient().settle(&payment).await.expect_err(name);
        assert!(matches!(error, SettleError::Unresolved { transaction: None, .. }), "{name}: {error:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{name} took {:?}", begun.elapsed());
        assert_eq!(server.asked().len(), 1, "{name}: asked once and nowhere else");
        assert_harmless(name, &error.to_string(), &server);
    }
}

#[tokio::test]
async fn supported_without_an_answer_is_unavailable() {
    for (name, act) in faults() {
        let server = Server::start([act]).await;
        let error = server.impatient().supported().await.expect_err(name);
        assert!(matches!(error, VerifyError::Unavailable(_)), "{name}: {error:?}");
    }
}

#[tokio::test]
async fn after_every_fault_the_next_call_works() {
    let payment = good();
    let answers = faults().into_iter().flat_map(|(_, act)| [act, Act::Json(200, settled())]);
    let server = Server::start(answers).await;
    let facilitator = server.impatient();
    let patient = facilitator.clone().settle_timeout(Duration::from_secs(30));
    for (name, _) in faults() {
        assert!(facilitator.settle(&payment).await.is_err(), "{name}");
        patient.settle(&payment).await.unwrap_or_else(|error| panic!("after {name}: {error:?}"));
    }
}

#[tokio::test]
async fn connections_are_used_again_while_they_are_fresh() {
    let server = Server::start((0..3).map(|_| Act::Json(200, json!({ "isValid": true })))).await;
    let facilitator = server.facilitator();
    for _ in 0..3 {
        facilitator.verify(&good()).await.unwrap();
    }
    assert_eq!((server.asked().len(), server.connections()), (3, 1));
}

#[tokio::test]
async fn nobody_listening_means_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = HttpFacilitator::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = nobody.settle(&good()).await.unwrap_err();
    assert!(matches!(error, SettleError::Unavailable(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("cannot be reached: ") && text.contains("refused"), "{text}");
    assert!(matches!(nobody.verify(&good()).await.unwrap_err(), VerifyError::Unavailable(_)));
}

#[tokio::test]
async fn an_unknown_name_means_that_nothing_was_sent() {
    let nowhere = HttpFacilitator::new("https://facilitator.invalid").unwrap();
    let error = nowhere.settle(&good()).await.unwrap_err();
    assert!(matches!(error, SettleError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_server_without_tls_gets_no_payment() {
    let server = Server::start([]).await;
    let encrypted = HttpFacilitator::new(&server.url().replace("http:", "https:")).unwrap();
    let encrypted = encrypted.connect_timeout(Duration::from_millis(300));
    let error = encrypted.settle(&good()).await.unwrap_err();
    assert!(matches!(error, SettleError::Unavailable(_)), "{error:?}");
    assert!(server.asked().is_empty());
}

/// Errors name the origin, and nothing of what was sent or received.
fn assert_harmless(name: &str, error: &str, server: &Server) {
    assert!(error.contains(server.url()), "{name}: {error}");
    let secrets = [signature(&good()), "/verify".to_owned(), "/settle".to_owned(), "welcome".to_owned()];
    for secret in secrets {
        assert!(!error.contains(&secret), "{name}: {error}");
    }
}
