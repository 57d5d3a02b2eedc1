//! Sales spread over instances: what one of them quoted, sold or named, the others know.

use x402_tests::{Books, Connection, Fleet, Payment, Request, Response, persist};

use crate::stage::{Stores, TWO, alone, say};

/// Different payments: each is one sale, and whoever is asked again has the response and its receipt.
#[test]
fn a_retry_at_another_instance_gets_the_response_and_its_receipt() {
    let stores = Stores::start();
    for (store, url) in stores.urls() {
        let _alone = alone();
        let fleet = Fleet::open(&TWO, &url);
        let paths = ["/exact", "/slow?ms=30", "/items/7?colour=red"];
        let requests: Vec<_> =
            (0..SALES).map(|at| paths[at % 3]).map(|path| get(path, &fleet.payment_for(path))).collect();
        let first: Vec<_> =
            fleet.at_once(&requests).into_iter().map(|answered| answered.response.unwrap()).collect();
        for (at, (request, first)) in requests.iter().zip(&first).enumerate() {
            assert_eq!((first.status, first.header("idempotent-replayed")), (200, None), "{store}");
            let again = fleet.servers[(at + 1) % 2].send(request);
            assert_same_response(&again, first);
        }
        let books = fleet.books();
        assert_eq!(books.runs.values().sum::<u64>(), SALES as u64, "{store}");
        assert_eq!((books.transfers, books.income), (SALES, 1000 * SALES as u128), "{store}");
        assert_eq!(fleet.deliveries().len(), SALES, "{store}");
        say(&format!(
            "{store}, 2 instances: {SALES} payments sold once, and all of them replayed by the other\n"
        ));
    }
}

#[test]
fn a_quote_of_one_instance_is_paid_at_another() {
    let stores = Stores::start();
    for (_, url) in stores.urls() {
        let fleet = Fleet::open(&TWO, &url);
        for (asked, paid) in [(0, 1), (1, 0)] {
            let challenge = fleet.ask(asked, "/cheap");
            for payment in [fleet.payer.v2(&challenge), fleet.payer.v1(&challenge)] {
                let response = fleet.servers[paid].send(&get("/cheap", &payment));
                assert_eq!(response.status, 200, "{}", response.text());
            }
        }
        assert_eq!(fleet.books(), Books::of(&[("GET /cheap", 4)], 4, 400));
    }
}

/// A name is for one payment, wherever the payment is presented.
#[test]
fn a_name_given_at_one_instance_is_taken_at_another() {
    let stores = Stores::start();
    for (store, url) in stores.urls() {
        let fleet = Fleet::open(&TWO, &url);
        let send = |server: usize, payment: &Payment| fleet.servers[server].send(&get("/named", payment));
        let named = fleet.payment_for("/named").named("order-of-breakfast");
        let first = send(0, &named);
        assert_eq!(first.status, 200, "{store}: {}", first.text());
        assert_same_response(&send(1, &named), &first);
        let other = fleet.payment_for("/named").named("order-of-breakfast");
        let refused = send(1, &other);
        assert_eq!((refused.status, refused.code().as_str()), (409, "idempotency_conflict"), "{store}");
        assert_eq!(refused.header("payment-response"), None, "it learns nothing of the other payment");

        // Ten payments of one name at once, half of them here and half there.
        let rivals: Vec<_> = (0..10)
            .map(|_| get("/named", &fleet.payment_for("/named").named("order-of-lunch-no-2")))
            .collect();
        let answers: Vec<_> =
            fleet.at_once(&rivals).into_iter().map(|answered| answered.response.unwrap()).collect();
        let served = answers.iter().filter(|response| response.status == 200).count();
        let refused = answers.iter().filter(|response| response.status == 409).count();
        assert_eq!((served, refused), (1, 9), "{store}");
        assert_eq!(fleet.books(), Books::of(&[("GET /named", 2)], 2, 2000), "{store}");
    }
}

/// Paid, and the response lost on its way: whoever is asked next delivers, once.
#[test]
fn what_one_instance_owes_another_delivers() {
    let stores = Stores::start();
    for (store, url) in stores.urls() {
        let fleet = Fleet::open(&TWO, &url);
        let request = get("/stream", &fleet.payment_for("/stream"));
        let mut connection = Connection::open(fleet.servers[0].address()).unwrap();
        connection.write(&request.bytes()).unwrap();
        let head = connection.response_head().unwrap();
        assert_eq!(head.status, 200, "{store}");
        drop(connection);
        let response = persist(&fleet.servers[1], &request);
        assert_eq!(response.status, 200, "{store}: {}", response.text());
        let receipts = [&head, &response].map(|response| response.receipt()["transaction"].clone());
        assert_eq!(receipts[0], receipts[1], "{store}");
        assert_eq!(fleet.books(), Books::of(&[("GET /stream", 2)], 1, 1000), "{store}");
    }
}

#[track_caller]
fn assert_same_response(again: &Response, first: &Response) {
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")), "{}", again.text());
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("delivery-token"), first.header("delivery-token"));
    assert_eq!(again.receipt()["transaction"], first.receipt()["transaction"]);
}

fn get(path: &str, payment: &Payment) -> Request {
    Request::get(path).paying(payment)
}

const SALES: usize = 60;
