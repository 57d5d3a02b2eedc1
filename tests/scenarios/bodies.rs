//! Bodies that are bound to their payment: what was paid for is this very body.

use std::{thread, time::Duration};

use x402_tests::{Books, Challenge, Connection, Framework, Payment, Request, Response, Shop};

through_every_adapter!(
    a_bound_body_goes_in_and_its_response_is_kept,
    another_body_is_another_request,
    copies_of_a_body_are_one_sale,
    a_body_that_is_too_long_is_refused,
    a_body_that_is_cut_off_costs_nothing,
    a_body_is_not_asked_for_before_it_is_paid,
    a_body_that_comes_in_pieces_is_one_body,
);

const LIMIT: usize = 64 * 1024;

fn payment_for(shop: &Shop, body: &[u8]) -> Payment {
    shop.payer.v2(&Challenge::of(&shop.send(&Request::post("/bound", body))))
}

/// The head of a paid request, with these headers besides.
fn head(payment: &Payment, headers: &str) -> Vec<u8> {
    let (name, value) = (payment.header_name(), payment.text());
    format!("POST /bound HTTP/1.1\r\nHost: shop.test\r\n{name}: {value}\r\n{headers}\r\n").into_bytes()
}

fn refused(response: &Response, status: u16, code: &str) {
    assert_eq!((response.status, response.code().as_str()), (status, code));
    for header in ["payment-required", "payment-response", "delivery-token"] {
        assert_eq!(response.header(header), None, "{header}");
    }
}

fn a_bound_body_goes_in_and_its_response_is_kept(framework: Framework) {
    let shop = Shop::open(framework);
    let bodies: [Vec<u8>; 4] = [
        Vec::new(),
        b"hello".to_vec(),
        (0..=255).collect(),
        (0..LIMIT).map(|at| at.to_le_bytes()[0]).collect(),
    ];
    for (sold, body) in (1..).zip(&bodies) {
        let challenge = Challenge::of(&shop.send(&Request::post("/bound", body.as_slice())));
        let payment = if sold % 2 == 0 { shop.payer.v1(&challenge) } else { shop.payer.v2(&challenge) };
        let request = Request::post("/bound", body.as_slice()).paying(&payment);
        let first = shop.send(&request);
        assert_eq!(first.status, 200, "{}", first.text());
        assert!(first.body == *body, "{} bytes came back as {}", body.len(), first.body.len());
        let again = shop.send(&request);
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
        assert!(again.body == *body);
        assert_eq!(again.header("delivery-token"), first.header("delivery-token"));
        assert_eq!(again.receipt()["transaction"], first.receipt()["transaction"]);
        let books = Books::of(&[("POST /bound", sold)], sold as usize, 1000 * u128::from(sold));
        assert_eq!(shop.books(), books);
    }
}

fn another_body_is_another_request(framework: Framework) {
    let shop = Shop::open(framework);
    let challenge = Challenge::of(&shop.send(&Request::post("/bound", "one")));
    for payment in [shop.payer.v1(&challenge), shop.payer.v2(&challenge)] {
        assert_eq!(shop.send(&Request::post("/bound", "one").paying(&payment)).status, 200);
        for other in ["two", "", "one "] {
            let response = shop.send(&Request::post("/bound", other).paying(&payment));
            refused(&response, 409, "idempotency_conflict");
        }
    }
    assert_eq!(shop.books(), Books::of(&[("POST /bound", 2)], 2, 2000));
}

fn copies_of_a_body_are_one_sale(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = payment_for(&shop, b"one");
    let mut requests = vec![Request::post("/bound", "one").paying(&payment); 20];
    requests.push(Request::post("/bound", "two").paying(&payment));
    let responses: Vec<_> = shop.send_at_once(&requests).into_iter().map(Result::unwrap).collect();
    let (first, other) = (&responses[..20], &responses[20]);
    // Whoever comes first decides which body it is.
    let (won, lost) = if other.status == 200 { ("two", 20) } else { ("one", 1) };
    let served = responses.iter().filter(|response| response.status == 200);
    assert!(served.clone().all(|response| response.text() == won));
    let tokens: Vec<_> = served.map(|response| response.header("delivery-token").unwrap()).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "one delivery");
    assert_eq!(responses.iter().filter(|response| response.status == 409).count(), lost, "{first:?}");
    assert_eq!(shop.books(), Books::of(&[("POST /bound", 1)], 1, 1000));
}

fn a_body_that_is_too_long_is_refused(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = payment_for(&shop, b"");
    let smuggled = Request::get("/free").bytes();
    // It says so: nothing of it need be sent, and what is sent is not the next request.
    for sent in [&[][..], &smuggled] {
        let mut connection = Connection::open(shop.server.address()).unwrap();
        connection.write(&head(&payment, &format!("Content-Length: {}\r\n", LIMIT + 1))).unwrap();
        connection.write(sent).unwrap();
        refused(&connection.response(false).unwrap(), 413, "request_body_too_large");
        let _ = connection.end();
        assert!(!String::from_utf8_lossy(&connection.rest()).contains("200 OK"));
    }
    // It does not say so: it is read up to the limit.
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(&head(&payment, "Transfer-Encoding: chunked\r\n")).unwrap();
    let chunk = [&b"1000\r\n"[..], &[b'x'; 0x1000], b"\r\n"].concat();
    for _ in 0..LIMIT / 0x1000 {
        connection.write(&chunk).unwrap();
    }
    connection.write(b"1\r\nx\r\n").unwrap();
    refused(&connection.response(false).unwrap(), 413, "request_body_too_large");
    let _ = connection.write(&smuggled);
    let _ = connection.end();
    assert!(!String::from_utf8_lossy(&connection.rest()).contains("200 OK"));

    assert_eq!(shop.books(), Books::empty());
    let short = shop.send(&Request::post("/bound", "short").paying(&payment));
    assert_eq!(short.status, 200, "nothing was consumed: {}", short.text());
    assert_eq!(shop.books(), Books::of(&[("POST /bound", 1)], 1, 1000));
}

fn a_body_that_is_cut_off_costs_nothing(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = payment_for(&shop, b"");
    for (framing, part) in [
        ("Content-Length: 10\r\n", &b"hello"[..]),
        ("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\nnot a length\r\n"),
    ] {
        let mut connection = Connection::open(shop.server.address()).unwrap();
        connection.write(&head(&payment, framing)).unwrap();
        connection.write(part).unwrap();
        let _ = connection.end();
        let told = connection.rest();
        let told = String::from_utf8_lossy(&told);
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 400"), "{told}");
    }
    thread::sleep(Duration::from_millis(200)); // whatever would still run does
    assert_eq!(shop.books(), Books::empty());
    assert_eq!(shop.send(&Request::post("/bound", "hello").paying(&payment)).status, 200);
    assert_eq!(shop.books(), Books::of(&[("POST /bound", 1)], 1, 1000));
}

/// A client that waits for `100 Continue` sends its body only for a payment.
fn a_body_is_not_asked_for_before_it_is_paid(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = payment_for(&shop, b"");
    // actix-web asks for every body before anybody sees the request.
    let early = framework == Framework::Actix;
    let expecting = "Expect: 100-continue\r\nConnection: close\r\n";
    let unpaid = format!("POST /bound HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\n{expecting}\r\n");
    let long = head(&payment, &format!("Content-Length: {}\r\n{expecting}", LIMIT + 1));
    for (head, status) in [(unpaid.into_bytes(), 402), (long, 413)] {
        let mut connection = Connection::open(shop.server.address()).unwrap();
        connection.write(&head).unwrap();
        let (interim, response) = connection.with_interim().unwrap();
        assert_eq!((response.status, interim.is_empty()), (status, !early));
    }
    let mut connection = Connection::open(shop.server.address()).unwrap();
    connection.write(&head(&payment, &format!("Content-Length: 5\r\n{expecting}"))).unwrap();
    thread::sleep(Duration::from_millis(100)); // a client waits for the word
    connection.write(b"hello").unwrap();
    let (interim, response) = connection.with_interim().unwrap();
    assert_eq!((interim, response.status, response.text().as_str()), (vec![100], 200, "hello"));
    assert_eq!(shop.books(), Books::of(&[("POST /bound", 1)], 1, 1000));
}

fn a_body_that_comes_in_pieces_is_one_body(framework: Framework) {
    let shop = Shop::open(framework);
    let payment = payment_for(&shop, b"");
    let head = head(&payment, "Transfer-Encoding: chunked\r\nTrailer: x-note\r\nConnection: close\r\n");
    let tellings: [&[&[u8]]; 3] = [
        &[b"5\r\nhello\r\n", b"1\r\n \r\n", b"5\r\nworld\r\n", b"0\r\nx-note: nobody sees this\r\n\r\n"],
        &[b"b\r\nhello world\r\n0\r\n\r\n"],
        &[b"1;x=y\r\nh\r\na\r\nello world\r\n0\r\n\r\n"],
    ];
    for (at, pieces) in tellings.into_iter().enumerate() {
        let mut connection = Connection::open(shop.server.address()).unwrap();
        connection.write(&head).unwrap();
        for piece in pieces {
            connection.write(piece).unwrap();
            thread::sleep(Duration::from_millis(20)); // each in a packet of its own
        }
        let response = connection.response(false).unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, "hello world"));
        assert_eq!(response.header("idempotent-replayed").is_some(), at > 0);
    }
    assert_eq!(shop.books(), Books::of(&[("POST /bound", 1)], 1, 1000));
}
