//! The 402 from its template, beside the same messages by serde_json and base64.

use std::{hint::black_box, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use criterion::Criterion;
use x402_benches::{PRICED, Race, prices};
use x402_core::{
    Reply,
    challenge::{ChallengeRequest, ChallengeTemplate},
    price::{Lookup, Prices, RulePrice},
    quote::{QuoteKey, QuoteSealer},
    time::UnixSeconds,
    wire::{header, v1, v2},
};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (prices, sealer) = (prices(), QuoteSealer::new(&QuoteKey::random(), &[]));
    let terms = Terms::of(&render(&prices, &sealer));

    let mut group = criterion.benchmark_group("challenge");
    group.bench_function(TEMPLATE, |bencher| bencher.iter(|| black_box(render(&prices, &sealer))));
    group.bench_function(SERDE, |bencher| bencher.iter(|| black_box(terms.encode())));
    group.finish();
    criterion.final_summary();

    let race = Race::new().runner(TEMPLATE, || render(&prices, &sealer)).runner(SERDE, || terms.encode());
    println!("\nbest times, in turn\n{}", race.run(ROUNDS).table(TEMPLATE));
}

fn render(prices: &Prices, sealer: &QuoteSealer) -> Reply {
    let Lookup::Priced(rule) = prices.lookup("GET", PRICED) else { panic!("the path is priced") };
    let RulePrice::Fixed(price) = &rule.price else { panic!("the price is fixed") };
    let template: &ChallengeTemplate = &price.challenge;
    template.render(&ChallengeRequest {
        status: 402,
        error: None,
        payer: None,
        scope: rule.scope("GET", PRICED, None),
        sealer,
        lifetime: Duration::from_secs(120),
        now: UnixSeconds::new(1_800_000_000),
        entropy: [7; 32],
    })
}

/// The two messages of one 402, their quotes sealed already.
struct Terms {
    v2: v2::PaymentRequired,
    v1: v1::PaymentRequired,
}

impl Terms {
    fn of(reply: &Reply) -> Self {
        let text = reply.get(header::PAYMENT_REQUIRED).expect("a 402 carries terms");
        let v2 = header::decode_json(text, text.len()).expect("terms can be read");
        let v1 = serde_json::from_slice(&reply.body).expect("the body can be read");
        Self { v2, v1 }
    }

    fn encode(&self) -> (String, Vec<u8>) {
        let v2 = serde_json::to_vec(&self.v2).expect("messages are plain data");
        let v1 = serde_json::to_vec(&self.v1).expect("messages are plain data");
        (BASE64_STANDARD.encode(v2), v1)
    }
}

const TEMPLATE: &str = "template, one quote sealed";
const SERDE: &str = "serde_json and base64, nothing sealed";
const ROUNDS: u32 = 300;
