//! Two hundred settlements at once through one gas account: a transaction each, and shared ones.
//!
//! Run with `cargo xtask bench settle`.

#[allow(dead_code, reason = "shared with the tests against a chain")]
#[path = "../tests/chain/race.rs"]
mod race;
#[allow(dead_code, reason = "shared with the tests against a chain")]
#[path = "../tests/chain/world.rs"]
mod world;

use std::{env, time::Duration};

use x402_evm::Batching;

use self::{race::Race, world::World};

#[tokio::main]
async fn main() {
    // No chain is started for somebody else's benchmark.
    if !env::args().skip(1).all(|word| word.starts_with('-') || "settle".contains(&word)) {
        return;
    }
    for (title, every_second) in [("a block for each transaction", false), ("a block every second", true)] {
        let mut races = Vec::new();
        for (name, most) in [("one by one", None), ("up to 50", Some(50)), ("up to 100", Some(100))] {
            let world = World::start();
            if every_second {
                world.chain.set_automine(false).unwrap();
                world.chain.set_interval_mining(1).unwrap();
            }
            let mut facilitator = world.facilitator();
            if let Some(most) = most {
                facilitator = facilitator.batch(Batching { window: Duration::from_millis(100), most });
            }
            races.push((name, Race::run(&world, &facilitator, 200).await));
        }
        let races: Vec<_> = races.iter().map(|(name, race)| (*name, race)).collect();
        println!("\n{title}\n{}", Race::table(&races));
    }
}
