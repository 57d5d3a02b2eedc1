//! Each way a remote facilitator can fail a settlement, in both timings: never a second charge, never a delivery
//! before the charge, and the same payment gets there in the end.

use std::{thread, time::Duration};

use serde_json::json;
use x402_tests::{
    Answer, Challenge, Connection, Framework, Payer, Request, ScriptedFacilitator, Server, Shop, eventually,
    paid_runs, persist, send_at_once,
};

fn server(facilitator: &ScriptedFacilitator, framework: Framework, timing: &str) -> (Server, Payer) {
    let environment = Shop::environment().set("FACILITATOR_URL", facilitator.url()).set("SETTLE", timing);
    (Server::start(framework, environment), Payer::of(x402_tests::PAYER))
}

fn paying(server: &Server, payer: &Payer, path: &str) -> Request {
    Request::get(path).paying(&payer.v2(&Challenge::of(&server.send(&Request::get(path)))))
}

fn faults() -> Vec<Answer> {
    let bytes = |text: &str| Answer::Bytes(text.as_bytes().to_vec());
    let transaction = format!("0x{}", "cd".repeat(32));
    vec![
        Answer::HangUp,
        Answer::Json(500, json!({ "error": "oops" })),
        Answer::Json(502, json!("bad gateway")),
        Answer::Json(429, json!({})),
        Answer::Json(200, json!({})),
        Answer::Json(200, json!({ "success": "true" })),
        Answer::Json(200, json!({ "success": true })),
        Answer::Json(200, json!({ "success": true, "transaction": "", "network": "eip155:84532" })),
        Answer::Json(200, json!({ "success": true, "transaction": transaction, "network": "eip155:1" })),
        Answer::Json(
            200,
            json!({ "success": false, "errorReason": "unexpected_settle_error", "transaction": "", "network": "" }),
        ),
        // Failed with nothing to show for it: the answer of its node may have been lost.
        Answer::Json(
            200,
            json!({
                "success": false, "errorReason": "invalid_exact_evm_transaction_failed", "transaction": "", "network": "",
            }),
        ),
        Answer::Json(
            200,
            json!({ "success": false, "errorReason": "HTTP request failed.", "transaction": "", "network": "" }),
        ),
        Answer::Json(
            200,
            json!({
                "success": false, "errorReason": "invalid_exact_evm_transaction_failed", "network": "",
                "errorMessage": "settlement_pending: not stored", "transaction": transaction,
            }),
        ),
        Answer::Json(
            500,
            json!({ "success": false, "errorReason": "settlement_pending", "transaction": "", "network": "" }),
        ),
        bytes("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 500\r\n\r\n{\"success\":true"),
        bytes(
            "HTTP/1.1 307 Moved\r\nConnection: close\r\nLocation: http://127.0.0.1:9/settle\r\nContent-Length: 0\r\n\r\n",
        ),
        bytes(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        ),
        bytes("not HTTP"),
    ]
}

#[test]
fn every_fault_in_every_timing_ends_in_one_charge() {
    for (framework, timing) in
        [(Framework::Axum, "after"), (Framework::Actix, "after"), (Framework::Tower, "before")]
    {
        let facilitator = ScriptedFacilitator::start();
        let (server, payer) = server(&facilitator, framework, timing);
        let mut sold = 0;
        for moves in [true, false] {
            for fault in faults() {
                let what = format!("{timing}, moved {moves}, {fault:?}");
                let request = paying(&server, &payer, "/exact");
                facilitator.on_settle(fault, moves);
                let response = server.send(&request);
                assert_eq!(response.status, 503, "{what}: {}", response.text());
                assert!(response.header("retry-after").is_some(), "{what}");
                assert_eq!(response.header("payment-required"), None, "{what}");
                assert_eq!(response.header("delivery-token"), None, "{what}");
                let response = persist(&server, &request);
                assert_eq!(response.status, 200, "{what}: {}", response.text());
                sold += 1;
                assert_eq!(facilitator.moves(), sold, "{what}");
                assert_eq!(server.deliveries().len(), sold, "{what}");
            }
        }
        assert_eq!(paid_runs(&server).values().sum::<u64>(), sold as u64, "{timing}");
    }
}

#[test]
fn a_settlement_outlives_its_connection() {
    for timing in ["after", "before"] {
        let facilitator = ScriptedFacilitator::start();
        let (server, payer) = server(&facilitator, Framework::Axum, timing);
        let request = paying(&server, &payer, "/exact");
        facilitator.on_settle(Answer::Held, true);
        let mut connection = Connection::open(server.address()).unwrap();
        connection.write(&request.bytes()).unwrap();
        eventually("the money moves", || facilitator.moves() == 1);
        drop(connection);
        thread::sleep(Duration::from_millis(100)); // the server notices
        facilitator.let_go();
        let response = persist(&server, &request);
        assert_eq!(response.status, 200, "{timing}: {}", response.text());
        assert_eq!((facilitator.moves(), facilitator.settle_calls()), (1, 1), "{timing}");
        assert_eq!(server.deliveries().len(), 1, "{timing}");
    }
}

#[test]
fn a_crowd_waits_for_one_settlement() {
    let facilitator = ScriptedFacilitator::start();
    let (server, payer) = server(&facilitator, Framework::Tower, "after");
    let request = paying(&server, &payer, "/exact");
    facilitator.on_settle(Answer::Late(Duration::from_millis(500)), true);
    let responses = send_at_once(&server, &vec![request; 20]);
    for response in responses {
        let response = response.unwrap();
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("delivery-token"), Some(server.deliveries()[0].token.as_str()));
    }
    assert_eq!((facilitator.moves(), facilitator.settle_calls(), server.deliveries().len()), (1, 1, 1));
}

#[test]
fn a_pending_settlement_is_asked_for_once_more() {
    let facilitator = ScriptedFacilitator::start();
    let (server, payer) = server(&facilitator, Framework::Axum, "after");
    let pending = json!({
        "success": false,
        "errorReason": "settlement_pending",
        "transaction": format!("0x{}", "ef".repeat(32)),
        "network": "eip155:84532",
    });
    facilitator.on_settle(Answer::Json(500, pending), true);
    let response = persist(&server, &paying(&server, &payer, "/exact"));
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!((facilitator.moves(), facilitator.settle_calls()), (1, 2));
}

#[test]
fn a_refused_settlement_is_a_402_without_the_response() {
    for timing in ["after", "before"] {
        let facilitator = ScriptedFacilitator::start();
        let (server, payer) = server(&facilitator, Framework::Actix, timing);
        let refused = json!({
            "success": false, "errorReason": "invalid_exact_evm_insufficient_balance", "transaction": "", "network": "",
        });
        facilitator.on_settle(Answer::Json(200, refused), false);
        let request = paying(&server, &payer, "/exact");
        for _ in 0..2 {
            let response = server.send(&request);
            assert_eq!(response.status, 402, "{timing}: {}", response.text());
            assert_eq!(response.receipt()["success"], false);
            assert_eq!(response.header("payment-required"), None, "it may still be used");
            assert_eq!(response.header("delivery-token"), None);
        }
        assert_eq!((facilitator.moves(), facilitator.settle_calls()), (0, 1), "{timing}");
    }
}
