//! Server-sent events: paid before the first of them, and never waited for.

use std::time::{Duration, Instant};

use x402_core::{error::RejectReason, testing::SettleAnswer};
use x402_tests::{Connection, Request, eventually};

use crate::stall::{EVERY, Stall};

#[test]
fn settled_before_the_handler_each_event_leaves_when_it_happens() {
    for framework in EVERY {
        let stall = Stall::open(framework);
        let request = stall.paying(&Request::get("/before/events"));
        let mut connection = stall.begin(&request);
        // The head is there before anything has happened.
        read_head(&mut connection);
        assert_eq!(stall.transfers(), 1, "{framework}");
        read_events(&stall, &mut connection);
        let again = request.send(stall.address).unwrap();
        assert_eq!((again.status, again.code().as_str()), (409, "payment_replayed"), "{framework}");
    }
}

#[test]
fn settled_after_the_handler_the_head_waits_for_the_money_and_for_nothing_else() {
    for framework in EVERY {
        let stall = Stall::open(framework);
        let request = stall.paying(&Request::get("/after/events"));
        stall.facilitator.next_settle(SettleAnswer::Hang);
        stall.happen(1);
        let mut connection = stall.begin(&request);
        eventually("the money is about to move", || stall.facilitator.settle_calls() == 1);
        assert!(connection.is_silent(A_WHILE), "{framework}: not a byte leaves unpaid");
        stall.facilitator.release();
        read_head(&mut connection);
        assert_eq!(stall.transfers(), 1, "{framework}");
        assert_eq!(read_event(&mut connection), "data: 1\n\n");
        assert!(connection.is_silent(A_WHILE), "{framework}");
        stall.happen(2);
        assert_eq!(
            [read_event(&mut connection), read_event(&mut connection)],
            ["data: 2\n\n", "data: 3\n\n"]
        );
        assert!(!connection.chunk(&mut Vec::new()).unwrap());
    }
}

#[test]
fn a_settlement_that_fails_lets_no_event_out() {
    for framework in EVERY {
        let stall = Stall::open(framework);
        for path in ["/before/events", "/after/events"] {
            let request = stall.paying(&Request::get(path));
            stall.facilitator.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
            stall.happen(3);
            let bytes = stall.begin(&request).rest();
            assert!(bytes.starts_with(b"HTTP/1.1 402"), "{framework} {path}");
            assert!(!bytes.windows(6).any(|window| window == b"data: "), "{framework} {path}");
        }
        assert_eq!(stall.transfers(), 0);
    }
}

/// Prints what the paywall adds to the time to the first byte; `--nocapture` shows it.
#[test]
fn the_first_byte_is_not_held_back() {
    for framework in EVERY {
        let (shop, bare) = (Stall::open(framework), Stall::bare(framework));
        let free = Request::get("/before/events");
        let (mut paid_times, mut bare_times) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let paying = shop.paying(&free);
            paid_times.push(first_event(&shop, &paying));
            bare_times.push(first_event(&bare, &free));
        }
        let [paid, bare] = [paid_times, bare_times].map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2]
        });
        let ratio = paid.as_secs_f64() / bare.as_secs_f64();
        println!("{framework}: first byte after {bare:?} bare, {paid:?} paid for first: {ratio:.2} times");
        assert!(paid < bare + A_MOMENT, "{framework}: {paid:?} instead of {bare:?}");
    }
}

/// From a request to the first event of its response. The others happen only afterwards.
fn first_event(stall: &Stall, request: &Request) -> Duration {
    stall.happen(1);
    let begun = Instant::now();
    let mut connection = stall.begin(request);
    assert_eq!(connection.response_head().unwrap().status, 200);
    assert_eq!(read_event(&mut connection), "data: 1\n\n");
    let took = begun.elapsed();
    stall.happen(2);
    while connection.chunk(&mut Vec::new()).unwrap() {}
    took
}

#[track_caller]
fn read_head(connection: &mut Connection) {
    let head = connection.response_head().unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, None));
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.receipt()["success"], true);
}

#[track_caller]
fn read_events(stall: &Stall, connection: &mut Connection) {
    for number in 1..=3 {
        assert!(connection.is_silent(A_MOMENT));
        stall.happen(1);
        assert_eq!(read_event(connection), format!("data: {number}\n\n"));
    }
    assert!(!connection.chunk(&mut Vec::new()).unwrap());
}

#[track_caller]
fn read_event(connection: &mut Connection) -> String {
    let mut event = Vec::new();
    assert!(connection.chunk(&mut event).unwrap());
    String::from_utf8(event).unwrap()
}

const A_WHILE: Duration = Duration::from_millis(200);
const ROUNDS: usize = 50;
const A_MOMENT: Duration = Duration::from_millis(50);
