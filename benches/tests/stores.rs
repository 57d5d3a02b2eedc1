//! Group commit is worth its thread; optimised builds only.
#![cfg(not(debug_assertions))]

use std::path::Path;

use x402_benches::SqliteRace;

#[test]
fn ten_times_as_many_orders_are_written_together_as_alone() {
    let mut best = 0.0_f64;
    for _ in 0..ATTEMPTS {
        let race = SqliteRace::run(Path::new(env!("CARGO_TARGET_TMPDIR")));
        println!("{race}");
        best = best.max(race.gain());
        if best >= 10.0 {
            return;
        }
    }
    panic!("{best:.1} times at best");
}

const ATTEMPTS: usize = 3;
