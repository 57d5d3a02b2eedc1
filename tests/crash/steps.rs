//! One payment, and a death at each of its steps.

use std::{
    collections::BTreeSet,
    os::unix::process::ExitStatusExt as _,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use x402_core::order::PaymentState;
use x402_tests::{Connection, Fleet, Framework, Request, eventually};

use crate::{
    records::Records,
    stage::{Kind, RECOVERY, insist, recovers, say},
};

#[test]
fn killed_at_every_step_over_sqlite() {
    killed_at_every_step(Kind::Sqlite);
}

#[test]
fn killed_at_every_step_over_postgres() {
    killed_at_every_step(Kind::Postgres);
}

#[test]
fn killed_at_every_step_over_redis() {
    killed_at_every_step(Kind::Redis);
}

fn killed_at_every_step(kind: Kind) {
    let cells = Mutex::new(CELLS.iter().zip(FRAMEWORKS.into_iter().cycle()));
    let next = || cells.lock().expect("taking does not panic").next();
    // Most of the time everybody waits for a lease to lapse.
    thread::scope(|scope| {
        let play = || {
            while let Some(((timing, step), framework)) = next() {
                let took = Cell { kind, framework, timing, step: *step }.play();
                say(&format!("{}, {timing} the handler, {step:?}: {took:.1?}\n", kind.name()));
            }
        };
        let players: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(play)).collect();
        for player in players {
            player.join().expect("every step is recovered from");
        }
    });
}

/// When the process dies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// By its own hand, as `CRASH_AT` tells.
    At(&'static str),
    /// While its transaction waits for a block.
    Sent,
    /// While its response is sent.
    HalfSent,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    kind: Kind,
    framework: Framework,
    timing: &'static str,
    step: Step,
}

impl Cell {
    /// From the restart to the answer.
    fn play(self) -> Duration {
        let place = self.kind.place();
        let mut fleet = Fleet::open_with(&[self.framework], place.url(), |environment| {
            // Redis may forget by itself; here it does not.
            let environment = environment.set("SETTLE", self.timing).set("DEFER_OVER_FORGETFUL_STORE", "yes");
            match self.step {
                Step::At(step) => environment.set("CRASH_AT", step),
                Step::Sent | Step::HalfSent => environment,
            }
        });
        let path = if self.step == Step::HalfSent { "/stream" } else { "/exact" };
        let request = Request::get(path).paying(&fleet.payment_for(path));
        let mut tokens = BTreeSet::new();
        tokens.extend(self.die(&mut fleet, &request));

        let begun = Instant::now();
        fleet.servers[0].restart_with(|environment| environment.unset("CRASH_AT"));
        if self.step == Step::Sent {
            fleet.chain.mine(1).unwrap();
            fleet.chain.set_automine(true).unwrap();
        }
        let address = fleet.servers[0].address();
        let served = insist(address, &request);
        let mut took = begun.elapsed();
        tokens.extend(token(&served));

        let records = Records::of(&place);
        let settled = || {
            let orders = records.orders();
            let all = orders.iter().all(|order| order.state.payment == PaymentState::Settled);
            if all { Ok(()) } else { Err(orders) }
        };
        if self.timing == "deferred" {
            recovers("the money moves", settled);
            took = begun.elapsed();
        }
        assert!(took <= RECOVERY, "{self:?} took {took:?}");
        free(&records);
        if self.step != Step::HalfSent {
            tokens.extend(token(&insist(address, &request)));
            free(&records);
        }
        assert_eq!(tokens.len(), 1, "{self:?}: one whole response, however often it is sent");
        let standing = records.agree_with(&fleet.chain);
        assert_eq!((standing.completed, standing.owed, standing.unpaid), (1, 0, 0), "{self:?}");
        assert_eq!(fleet.books().transfers, 1, "{self:?}");
        took
    }

    /// What was delivered before the end.
    fn die(self, fleet: &mut Fleet, request: &Request) -> Option<String> {
        let server = &mut fleet.servers[0];
        let address = server.address();
        match self.step {
            Step::At(_) => {
                let response = request.send(address).ok();
                assert_eq!(server.ended().signal(), Some(KILLED), "{self:?}");
                let response = response?;
                assert_eq!(response.status, 200, "{self:?}: {}", response.text());
                token(&response)
            }
            Step::Sent => {
                fleet.chain.set_automine(false).unwrap();
                let mut connection = Connection::open(address).unwrap();
                connection.write(&request.bytes()).unwrap();
                eventually("the chain has the transaction", || {
                    fleet.chain.rpc("txpool_status", json!([])).unwrap()["pending"] == "0x1"
                });
                server.kill();
                connection.response(false).ok().as_ref().and_then(token)
            }
            Step::HalfSent => {
                let mut connection = Connection::open(address).unwrap();
                connection.write(&request.bytes()).unwrap();
                let response = connection.response_head().unwrap();
                assert_eq!(response.status, 200, "{self:?}");
                assert!(connection.chunk(&mut Vec::new()).unwrap());
                server.kill();
                None
            }
        }
    }
}

/// Until nobody holds an order any more, the dead included.
fn free(records: &Records) {
    recovers("what was begun is over", || {
        let leased = records.leased();
        if leased.is_empty() { Ok(()) } else { Err(leased) }
    });
}

fn token(response: &x402_tests::Response) -> Option<String> {
    response.header("delivery-token").map(str::to_owned)
}

const CELLS: [(&str, Step); 27] = {
    use Step::{At, HalfSent, Sent};
    [
        ("after", At("claimed")),
        ("after", At("verified")),
        ("after", At("handler")),
        ("after", At("intent")),
        ("after", At("noted")),
        ("after", Sent),
        ("after", At("settled")),
        ("after", At("answered")),
        ("after", HalfSent),
        ("after", At("delivered")),
        ("before", At("claimed")),
        ("before", At("verified")),
        ("before", At("intent")),
        ("before", At("noted")),
        ("before", Sent),
        ("before", At("settled")),
        ("before", At("answered")),
        ("before", At("handler")),
        ("before", At("kept")),
        ("before", HalfSent),
        ("before", At("delivered")),
        ("deferred", At("handler")),
        ("deferred", At("intent")),
        ("deferred", At("noted")),
        ("deferred", Sent),
        ("deferred", At("settled")),
        ("deferred", At("delivered")),
    ]
};
const FRAMEWORKS: [Framework; 3] = [Framework::Axum, Framework::Tower, Framework::Actix];
const AT_ONCE: usize = 14;
const KILLED: i32 = 9;
