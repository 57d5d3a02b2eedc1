//! Asked to end under load, a server finishes what it began and leaves nothing held.

use std::{
    thread,
    time::{Duration, Instant},
};

use x402_core::order::OrderStatus;
use x402_tests::{Fleet, Framework, Server};

use crate::{
    load::Customers,
    moments::Moments,
    records::Records,
    stage::{Kind, RECOVERY, say},
};

#[test]
fn asked_to_end_under_load_it_leaves_nothing_held_and_nothing_owed() {
    let mut stores = Kind::ALL.into_iter().cycle();
    for framework in [Framework::Axum, Framework::Tower, Framework::Actix] {
        let kind = stores.next().expect("it goes round");
        let place = kind.place();
        let mut fleet = Fleet::open(&[framework, framework], place.url());
        let customers = Customers::of(&fleet, Moments::seed(), "/slow?ms=300");
        let servers: Vec<_> = fleet.servers.iter().map(Server::address).collect();
        let mut took = Duration::ZERO;
        let sales = customers.buy(&servers, || {
            for number in [0, 1, 0] {
                thread::sleep(Duration::from_millis(1500));
                let server = &mut fleet.servers[number];
                server.ask_to_end();
                let begun = Instant::now();
                let ended = server.ended();
                took = took.max(begun.elapsed());
                assert!(ended.success(), "{framework}: {}", server.stderr());
                server.restart();
            }
            thread::sleep(Duration::from_millis(500));
        });
        for server in &mut fleet.servers {
            server.ask_to_end();
            assert!(server.ended().success(), "{framework}: {}", server.stderr());
        }
        let cut = sales.iter().filter(|sale| sale.interrupted.is_some()).count();
        say(&format!(
            "{}, {framework}: {} sales, {cut} connections cut, ended after {took:.1?} at most\n",
            kind.name(),
            sales.len()
        ));
        assert!(took <= RECOVERY, "{framework}: drained after {took:?}");
        let records = Records::of(&place);
        assert!(records.leased().is_empty(), "{framework}: {:?}", records.leased());
        let left: Vec<_> =
            records.orders().into_iter().filter(|order| order.status() != OrderStatus::Completed).collect();
        assert!(left.is_empty(), "{framework}: {left:?}");
        assert_eq!(records.agree_with(&fleet.chain).completed, sales.len(), "{framework}");
    }
}
