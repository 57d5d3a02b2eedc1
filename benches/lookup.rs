//! What a look-up costs with few rules and with many.

use std::hint::black_box;

use criterion::Criterion;
use x402_benches::Lookups;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let lookups = Lookups::new();
    let mut group = criterion.benchmark_group("lookup");
    for (name, run) in lookups.iter() {
        group.bench_function(name, |bencher| bencher.iter(|| black_box(run())));
    }
    group.finish();
    criterion.final_summary();

    println!("\nbest times, in turn\n{}", lookups.race().run(ROUNDS).table("10 rules, priced"));
}

const ROUNDS: u32 = 300;
