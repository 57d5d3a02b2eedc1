//! Clients that take their time to send what they paid for.

use std::{
    thread,
    time::{Duration, Instant},
};

use x402_tests::{Books, Challenge, Connection, Framework, Request, ScriptedFacilitator, Shop, paid_runs};

/// One byte a second keeps a connection alive, and holds memory no longer than the paywall allows.
#[test]
fn a_body_that_drips_is_cut_off() {
    thread::scope(|scope| {
        for framework in [Framework::Axum, Framework::Tower, Framework::Actix] {
            scope.spawn(move || drip(framework));
        }
    });
}

fn drip(framework: Framework) {
    let facilitator = ScriptedFacilitator::start();
    let (server, payer) = Shop::through(&facilitator, framework);
    let payment = payer.v2(&Challenge::of(&server.send(&Request::post("/bound", "hello"))));
    let (name, value) = (payment.header_name(), payment.text());
    let head =
        format!("POST /bound HTTP/1.1\r\nHost: shop.test\r\n{name}: {value}\r\nContent-Length: 1000\r\n\r\n");
    let mut connection = Connection::open(server.address()).unwrap();
    connection.write(head.as_bytes()).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(28) {
        connection.write(b"x").unwrap();
        thread::sleep(Duration::from_secs(1));
    }
    let response = connection.response(false).unwrap();
    assert_eq!((response.status, response.code().as_str()), (408, "request_body_too_slow"), "{framework}");
    assert!((29..=33).contains(&begun.elapsed().as_secs()), "{framework}: {:?}", begun.elapsed());
    // What it still sends is not the next request.
    let _ = connection.write(&Request::get("/free").bytes());
    let _ = connection.end();
    assert!(!String::from_utf8_lossy(&connection.rest()).contains("200 OK"), "{framework}");
    assert_eq!(paid_runs(&server), Books::empty().runs, "{framework}");
    let answer = server.send(&Request::post("/bound", "hello").paying(&payment));
    assert_eq!(answer.status, 200, "{framework}: nothing was consumed: {}", answer.text());
}
