//! x
use x402_benches::*;
fn main() {
    let which = std::env::args().nth(1).unwrap();
    let n: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let mut cases = Cases::new(&in_memory(prices()));
    for (name, run) in cases.iter_mut() {
        if name == which { for _ in 0..n { run(); } }
    }
}
