//! Allocations per request, counted exactly.

use x402_benches::{Cases, in_memory, prices};

fn main() {
    let mut cases = Cases::new(&in_memory(prices()));
    let counts = cases.count(|run| allocation_counter::measure(run).count_total);
    println!("\nallocations per request, the request itself included\n{counts}");
}
