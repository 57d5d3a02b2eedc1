//! What goes wrong at large: processes that die, stand still or are restarted, a store that stands or forgets, clocks
//! that jump, nonces that are spent.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::{
    client::Client,
    process::Accident,
    server::Server,
    store::Rows,
    world::{Forgot, Memory, World},
};

/// Goes on until the calm.
pub(crate) async fn blow(world: Arc<World>, servers: Arc<[Server]>, clients: Vec<Arc<Client>>) {
    let rng = &world.rng;
    for _ in 0..world.climate.accidents {
        sleep(rng.seconds(1, 40)).await;
        if !world.is_stormy() {
            return;
        }
        let server = rng.pick(&servers);
        match rng.between(0, 9) {
            0..3 => {
                // At some call of a port, and then it stays away for a while.
                server.life().process.light_fuse(rng.between(0, 30), Accident::Death);
                sleep(rng.seconds(0, 40)).await;
                server.restart();
                world.count("crashes");
            }
            3 => {
                server.stop(rng.seconds(0, 30)).await;
                server.restart();
                world.count("stops");
            }
            4..7 => {
                let length = Duration::from_secs(rng.between(1, 70));
                server.life().process.light_fuse(rng.between(0, 30), Accident::Standstill(length));
                world.count("freezes");
            }
            7 => {
                world.stop_store(rng.seconds(1, 40));
                world.count("pauses of the store");
            }
            8 => {
                server.clock.jump();
                let number = rng.between(0, 9);
                world.rows().forget_response(number);
            }
            _ => {
                for signed in rng.pick(&clients).signed().iter().take(1) {
                    world.chain().spend_elsewhere(&signed.key);
                    world.count("nonces spent elsewhere");
                }
            }
        }
    }
}

/// The store forgets all it has, or what it learned in the last seconds.
pub(crate) async fn forget(world: Arc<World>) {
    if world.climate.memory != Memory::Forgetful {
        return;
    }
    let rng = &world.rng;
    sleep(rng.seconds(5, 110)).await;
    if rng.chance(50) {
        return world.forget(Forgot::Everything, Rows::default());
    }
    let rows = world.rows().clone();
    sleep(Duration::from_millis(rng.between(10, 8_000))).await;
    world.forget(Forgot::LastSeconds, rows);
}
