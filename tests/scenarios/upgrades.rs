//! Other ways to speak to a server: they reach no priced handler either.

use std::time::Duration;

use x402_tests::{Books, Challenge, Connection, Framework, Request, Shop};

through_every_adapter!(
    an_upgrade_opens_nothing,
    older_and_newer_versions_are_asked_too,
    a_body_is_not_called_for_before_it_is_paid_for,
);

fn an_upgrade_opens_nothing(framework: Framework) {
    let (shop, settling_before) = (Shop::open(framework), Shop::open_settling_before(framework));
    let websocket = Request::get("/exact")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let h2c = Request::get("/exact")
        .header("Connection", "Upgrade, HTTP2-Settings")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA");
    // A WebSocket is for sale only where the money moves first.
    for (shop, request, status) in [
        (&shop, &websocket, 400),
        (&shop, &h2c, 402),
        (&settling_before, &websocket, 402),
        (&settling_before, &h2c, 402),
    ] {
        let mut connection = Connection::open(shop.server.address()).unwrap();
        connection.write(&request.bytes()).unwrap();
        let response = connection.response(false).unwrap();
        assert_eq!(response.status, status, "{request:?}");
        if status == 400 {
            assert_eq!(response.code(), "upgrade_not_offered");
        }
    }
    for raw in [
        "CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        "CONNECT /exact HTTP/1.1\r\nHost: shop.test\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /exact HTTP/9.9\r\nHost: shop.test\r\n\r\n",
    ] {
        let mut connection = Connection::open(shop.server.address()).unwrap();
        connection.write(raw.as_bytes()).unwrap();
        let rest = connection.rest_within(A_WHILE);
        assert!(!String::from_utf8_lossy(&rest).contains("paid: "), "{raw}");
    }
    assert_eq!(shop.books(), Books::empty());
}

fn older_and_newer_versions_are_asked_too(framework: Framework) {
    let shop = Shop::open(framework);
    for head in
        ["GET /exact HTTP/1.0\r\n", "GET /exact HTTP/1.0\r\nHost: shop.test\r\nConnection: keep-alive\r\n"]
    {
        let mut connection = Connection::open(shop.server.address()).unwrap();
        connection.write(format!("{head}\r\n").as_bytes()).unwrap();
        let rest = String::from_utf8_lossy(&connection.rest_within(A_WHILE)).into_owned();
        assert!(rest.contains(" 402 "), "{rest}");
    }
    // Whoever speaks 1.0 pays like everybody; a stream ends with its connection then.
    let payment = shop.payment_for("/stream");
    let mut connection = Connection::open(shop.server.address()).unwrap();
    let head = format!("GET /stream HTTP/1.0\r\n{}: {}\r\n\r\n", payment.header_name(), payment.text());
    connection.write(head.as_bytes()).unwrap();
    let response = connection.response(false).unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.body, shop.buy("/stream").body);
    assert_eq!(shop.books(), Books::of(&[("GET /stream", 2)], 2, 2000));
}

fn a_body_is_not_called_for_before_it_is_paid_for(framework: Framework) {
    let shop = Shop::open(framework);
    let head = "POST /echo HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n";
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(format!("{head}\r\n").as_bytes()).unwrap();
    let (interim, response) = connection.with_interim().unwrap();
    // actix answers 100 before any middleware is asked; what counts is that nothing ran.
    if framework != Framework::Actix {
        assert_eq!(interim, Vec::<u16>::new());
    }
    let payment = shop.payer.v2(&Challenge::of(&response));
    let mut connection = Connection::open(shop.server.address()).unwrap();
    let paying = format!("{head}{}: {}\r\nConnection: close\r\n\r\n", payment.header_name(), payment.text());
    connection.write(paying.as_bytes()).unwrap();
    // The handler wants the body, and only now it is sent.
    connection.write(b"hello").unwrap();
    let (interim, response) = connection.with_interim().unwrap();
    assert_eq!((interim, response.status), (vec![100], 200), "{}", response.text());
    assert_eq!(response.text(), "hello");
    assert_eq!(shop.books(), Books::of(&[("POST /echo", 1)], 1, 1000));
}

/// Long enough for an answer over loopback; a connection that is kept open sends nothing else.
const A_WHILE: Duration = Duration::from_millis(300);
