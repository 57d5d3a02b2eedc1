//! Allocations per request stay within what is promised. They are counted exactly, so no machine is too noisy.

use x402_benches::{
    BARE, Cases, Counts, FREE_AROUND, FREE_LAYER, IDLE_LAYER, TRIAGE_FREE, TRIAGE_UNPAID, UNPAID_AROUND,
    UNPAID_LAYER, in_memory, prices,
};

fn counts() -> Counts {
    let mut cases = Cases::new(&in_memory(prices()));
    cases.count(|run| allocation_counter::measure(run).count_total)
}

#[test]
fn a_free_route_allocates_nothing_more() {
    let counts = counts();
    assert_eq!(counts.of(TRIAGE_FREE), 0, "{counts}");
    assert_eq!(counts.of(FREE_AROUND), counts.of(BARE), "{counts}");
    assert_eq!(counts.of(FREE_LAYER), counts.of(IDLE_LAYER), "{counts}");
}

#[test]
fn an_unpaid_402_allocates_its_reply_and_no_more_than_26_times_in_all() {
    let counts = counts();
    assert!(counts.of(TRIAGE_UNPAID) <= 3, "headers, terms and body: {counts}");
    for case in [UNPAID_AROUND, UNPAID_LAYER] {
        assert!(counts.of(case) <= 26, "{case}: {counts}");
    }
}
