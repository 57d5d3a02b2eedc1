//! A server stands still for longer than its lease, another one takes over, and then the first goes on (T40).

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use x402_tests::{Connection, Fleet, Framework, Request, eventually};

use crate::{
    records::{Records, Standing},
    stage::{Kind, RECOVERY, insist, recovers},
};

#[test]
fn who_stood_still_in_the_handler_delivers_nothing() {
    for_each_store(|kind| {
        let place = kind.place();
        let fleet = Fleet::open(&[Framework::Axum, Framework::Tower], place.url());
        let request = Request::get("/slow?ms=700").paying(&fleet.payment_for("/slow?ms=700"));
        let mut first = Connection::open(fleet.servers[0].address()).unwrap();
        first.write(&request.bytes()).unwrap();
        eventually("the handler runs", || fleet.servers[0].runs("GET /slow") == 1);
        one_delivery(kind, &fleet, first, &request);
        assert_eq!(
            Records::of(&place).agree_with(&fleet.chain),
            Standing { completed: 1, owed: 0, unpaid: 0 }
        );
    });
}

#[test]
fn who_stood_still_while_settling_delivers_nothing() {
    for_each_store(|kind| {
        let place = kind.place();
        let fleet = Fleet::open(&[Framework::Actix, Framework::Axum], place.url());
        let request = Request::get("/exact").paying(&fleet.payment_for("/exact"));
        fleet.chain.set_automine(false).unwrap();
        let mut first = Connection::open(fleet.servers[0].address()).unwrap();
        first.write(&request.bytes()).unwrap();
        let pending = |count: &str| fleet.chain.rpc("txpool_status", json!([])).unwrap()["pending"] == count;
        eventually("the chain has the transaction", || pending("0x1"));
        let records = Records::of(&place);
        thread::scope(|scope| {
            scope.spawn(|| {
                // The one that takes over may send the same authorization: whichever is mined first moves the money.
                recovers("the other one takes over", || {
                    let orders = records.orders();
                    if orders.iter().all(|order| order.fence > 1) { Ok(()) } else { Err(orders) }
                });
                thread::sleep(TO_SEND);
                fleet.chain.mine(1).unwrap();
                fleet.chain.set_automine(true).unwrap();
            });
            one_delivery(kind, &fleet, first, &request);
        });
        assert_eq!(records.agree_with(&fleet.chain), Standing { completed: 1, owed: 0, unpaid: 0 });
    });
}

/// Stops the first server, is served by the second, lets the first go on.
fn one_delivery(kind: Kind, fleet: &Fleet, mut first: Connection, request: &Request) {
    fleet.servers[0].pause();
    let begun = Instant::now();
    let served = insist(fleet.servers[1].address(), request);
    let took = begun.elapsed();
    assert!(took <= RECOVERY, "{kind:?}: taken over after {took:?}");
    fleet.servers[0].resume();
    let late = first.response(false).expect("who goes on answers");
    let same = late.header("delivery-token") == served.header("delivery-token");
    assert!(late.status != 200 || same, "{kind:?}: a second delivery: {late:?}");
    assert_eq!(late.header("payment-required"), None, "{kind:?}: they would pay twice");
    let again = insist(fleet.servers[0].address(), request);
    assert_eq!(again.header("delivery-token"), served.header("delivery-token"), "{kind:?}");
    assert_eq!(fleet.books().transfers, 1, "{kind:?}");
    thread::sleep(AFTER_ALL);
    assert_eq!(fleet.books().transfers, 1, "{kind:?}");
}

fn for_each_store(story: impl Fn(Kind) + Sync) {
    thread::scope(|scope| {
        let stories: Vec<_> = Kind::ALL
            .into_iter()
            .map(|kind| {
                scope.spawn({
                    let story = &story;
                    move || story(kind)
                })
            })
            .collect();
        for story in stories {
            story.join().expect("the story ends well");
        }
    });
}

const TO_SEND: Duration = Duration::from_secs(1);
/// Long enough for whatever the late one would still do.
const AFTER_ALL: Duration = Duration::from_secs(2);
