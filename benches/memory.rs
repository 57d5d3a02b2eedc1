//! What claims take in the memory store: bytes, and the time to look through them.

use std::time::Instant;

use x402_benches::{Claims, PARTS};

fn main() {
    println!("{:>9}  {:>15}  {:>14}  {:>13}", "claims", "bytes per claim", "most at a time", "ns to claim");
    for count in [1_000, 20_000, 100_000, 250_000, 500_000, 800_000, 1_000_000_u32] {
        let claims = Claims::new(1_000_000);
        let start = Instant::now();
        let bytes = allocation_counter::measure(|| claims.fill(count));
        let claim = start.elapsed().as_nanos() / u128::from(count);
        let of = |bytes: u64| bytes / u64::from(count);
        println!(
            "{count:>9}  {:>15}  {:>14}  {claim:>13}",
            of(bytes.bytes_current.unsigned_abs()),
            of(bytes.bytes_max)
        );
        for part in 0..PARTS {
            let start = Instant::now();
            let due = claims.due(part);
            if part + 1 == PARTS {
                println!("           {} due found in {:?}", due.len(), start.elapsed());
            }
        }
    }
}
