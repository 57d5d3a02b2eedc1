//! The stateless check of a paid request beside one recovery of a signer.

use std::hint::black_box;

use criterion::Criterion;
use x402_benches::{ANSWER, CHECKED, Checks, NATIVE, PURE};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let checks = Checks::new();
    let mut group = criterion.benchmark_group("verify");
    group.bench_function(NATIVE, |bencher| bencher.iter(|| black_box(checks.recovery().native())));
    group.bench_function(PURE, |bencher| bencher.iter(|| black_box(checks.recovery().pure())));
    for (name, run) in checks.iter() {
        group.bench_function(name, |bencher| bencher.iter(|| black_box(run())));
    }
    group.finish();
    criterion.final_summary();

    let standings = checks.race().run(ROUNDS);
    let beyond = standings.beyond(CHECKED, &[NATIVE, ANSWER]);
    println!("\nbest times, in turn\n{}", standings.table(NATIVE));
    println!("the check beyond one recovery: {:.2} us\n", beyond / 1e3);
    for (name, reply, recoveries) in checks.answers() {
        println!("{name:<44} {} after {recoveries} recoveries", reply.status);
    }
}

const ROUNDS: u32 = 300;
