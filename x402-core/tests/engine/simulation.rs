//! Random interleavings of copies, faults, clients that leave and clocks that jump; time is simulated.
//!
//! Every seed is one small world: a few payments, each presented several times at once, over a facilitator and a store
//! that fail at random. When the storm is over, all is honest again and each payment is presented once more.

mod chaos;
mod client;
mod rng;

use std::{rc::Rc, time::Duration};

use self::{
    chaos::Chaos,
    client::{Client, Shop},
    rng::Rng,
};

/// Other seeds by hand: `SEEDS=17..18`.
#[test]
fn money_moves_once_and_what_it_bought_arrives_once() {
    let by_hand = std::env::var("SEEDS").ok().map(|seeds| {
        let (from, to) = seeds.split_once("..").expect("SEEDS is a range such as 0..100");
        from.parse().expect("SEEDS begins with a number")..to.parse().expect("SEEDS ends with a number")
    });
    for seed in by_hand.unwrap_or(0..2_000) {
        run(seed);
    }
}

fn run(seed: u64) {
    let _named = Named(seed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, simulate(seed));
}

async fn simulate(seed: u64) {
    let rng = Rng::new(seed);
    let chaos = Chaos::new(&rng);
    let shop = Rc::new(Shop::open(&chaos, &rng));
    let clients: Vec<_> = (0..rng.between(1, 3)).map(|_| Rc::new(Client::new(&shop, &rng))).collect();
    let mut presentations = Vec::new();
    for client in &clients {
        client.order().await;
        for _ in 0..rng.between(1, 5) {
            presentations.push(tokio::task::spawn_local(Rc::clone(client).present_in_the_storm()));
        }
    }
    for _ in 0..rng.between(0, 2) {
        tokio::time::sleep(rng.seconds(0, 60)).await;
        let jump = *rng.pick(&[1, 29, 31, 31, 45, 100, 400]);
        chaos.jump(Duration::from_secs(jump));
        clients.iter().for_each(|client| client.may_cheat());
    }
    for presentation in presentations {
        presentation.await.unwrap();
    }
    chaos.calm();
    // Leases lapse, and what is on its way arrives.
    tokio::time::sleep(Duration::from_secs(120)).await;
    for client in &clients {
        client.collect().await;
    }
}

/// Names the seed of a failure.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with SEEDS={}..{}", self.0, self.0 + 1);
        }
    }
}
