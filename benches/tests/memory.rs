//! A million live claims fit where they are promised to, and looking through them is quick; optimised builds only.
#![cfg(not(debug_assertions))]

use std::{
    thread,
    time::{Duration, Instant},
};

use x402_benches::{Claims, PARTS};
use x402_core::order::StoreError;

#[test]
fn a_million_live_claims_take_200_bytes_each_and_a_look_at_all_of_them_50_ms() {
    let claims = Claims::new(1_000_000);
    let bytes = allocation_counter::measure(|| claims.fill(1_000_000));
    let each = bytes.bytes_current / 1_000_000;
    println!("{each} bytes per claim, {} MiB at most", bytes.bytes_max >> 20);
    assert!(each <= 200, "{each} bytes per claim");
    assert!(bytes.bytes_max <= 256 << 20, "{} bytes at most", bytes.bytes_max);

    let look = |part| {
        // Another attempt finds another moment.
        thread::sleep(Duration::from_millis(100));
        time(|| assert_eq!(claims.due(part).len(), 100))
    };
    let best = (0..PARTS).map(look).min();
    println!("{best:?} to find what is due");
    assert!(best.is_some_and(|best| best < Duration::from_millis(50)), "{best:?}");

    // Of those who come to a full store in one second the first one looks for room.
    let refuse = || assert!(matches!(claims.claim(1_000_000), Err(StoreError::Full)));
    refuse();
    let refused = time(|| (0..1_000).for_each(|_| refuse()));
    println!("{refused:?} to refuse a thousand");
    assert!(refused < Duration::from_millis(50), "{refused:?}");
    assert_eq!(claims.len(), 1_000_000);
}

#[test]
fn fewer_claims_take_no_more() {
    for count in [50_000, 100_000] {
        let claims = Claims::new(1_000_000);
        let bytes = allocation_counter::measure(|| claims.fill(count));
        let each = bytes.bytes_current / i64::from(count);
        assert!(each <= 208, "{each} bytes per claim with {count} claims");
    }
}

fn time(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}
