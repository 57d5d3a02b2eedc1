//! Times stay within what is promised, as ratios of things that race on the same machine; optimised builds only.
#![cfg(not(debug_assertions))]

use std::time::Duration;

use x402_benches::{
    ANSWER, BARE, CHECKED, Cases, Checks, FREE_AROUND, FREE_LAYER, IDLE_LAYER, Lookups, NATIVE, Standings,
    TRIAGE_FREE, TRIAGE_UNPAID, UNPAID_AROUND, in_memory, prices,
};

/// Measures until the budget holds. Another attempt finds another second; code that is too slow is too slow in all of them.
fn within(budget: f64, base: &str, mut race: impl FnMut() -> Standings, measure: impl Fn(&Standings) -> f64) {
    let mut best = f64::INFINITY;
    for _ in 0..ATTEMPTS {
        let standings = race();
        best = best.min(measure(&standings));
        if best <= budget {
            return;
        }
        println!("{best:.2} is not within {budget}:\n{}", standings.table(base));
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("{best:.2} at best, the budget is {budget}");
}

#[test]
fn times_are_within_their_budgets() {
    // One after the other: tests of one file run side by side and would disturb each other.
    let mut cases = Cases::new(&in_memory(prices()));
    let mut race = || cases.race().run(ROUNDS);
    within(1.1, BARE, &mut race, |times| times.ratio(FREE_AROUND, BARE));
    // A layer of a router has no promise of its own, only a limit.
    within(1.2, BARE, &mut race, |times| times.ratio(FREE_LAYER, IDLE_LAYER));
    within(1.6, BARE, &mut race, |times| times.ratio(UNPAID_AROUND, BARE));
    within(0.1, BARE, &mut race, |times| times.ratio(TRIAGE_FREE, TRIAGE_UNPAID));

    let checks = Checks::new();
    let race = || checks.race().run(ROUNDS);
    within(10_000.0, NATIVE, race, |times| times.beyond(CHECKED, &[NATIVE, ANSWER]));

    let lookups = Lookups::new();
    let race = || lookups.race().run(ROUNDS);
    within(1.5, "10 rules, priced", race, |times| times.ratio("1000 rules, priced", "10 rules, priced"));
}

const ROUNDS: u32 = 400;
const ATTEMPTS: usize = 12;
