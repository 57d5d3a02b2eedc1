//! Free, unpaid and paid requests beside bare axum: times by criterion, then all of them in turn as ratios.

use criterion::Criterion;
use tokio::runtime::{Builder, Runtime};
use x402_benches::{Apps, BARE, Cases, PRICED, Payments, in_memory, prices, request, send};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let engine = in_memory(prices());
    let mut cases = Cases::new(&engine);
    let mut group = criterion.benchmark_group("hot path");
    for (name, run) in cases.iter_mut() {
        group.bench_function(name, |bencher| bencher.iter(&mut *run));
    }
    group.finish();
    criterion.final_summary();

    let runtime = runtime();
    let (payments, apps) = (Payments::new(&engine), Apps::new(engine));
    let paid = |payment| runtime.block_on(send(&apps.wrapped, request(PRICED, Some(&payment))));
    assert_eq!(paid(payments.good()), 200);
    let race = cases.race().prepared("paid, fakes and memory, real signature", || payments.good(), paid);
    println!("\nbest times, in turn\n{}", race.run(ROUNDS).table(BARE));
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

const ROUNDS: u32 = 300;
