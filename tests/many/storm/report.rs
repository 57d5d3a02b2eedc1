//! What customers were told, what was charged, what was delivered.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use x402_tests::{Fleet, Request};

use super::{Outage, customer::told};
use crate::stage::say;

/// A payment, and every answer to it.
#[derive(Debug)]
pub(super) struct Purchase {
    pub(super) nonce: String,
    pub(super) request: Request,
    pub(super) presentations: Vec<Presentation>,
}

#[derive(Debug)]
pub(super) struct Presentation {
    pub(super) begun: Instant,
    pub(super) took: Duration,
    pub(super) told: Told,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Told {
    /// 200, with the response of the run of this token.
    Served { token: String, again: bool },
    /// 409 with `Retry-After`.
    InFlight,
    /// 503 with `Retry-After` and without a challenge.
    Unavailable,
    /// 409 for good.
    Used(String),
    /// 402 with a challenge.
    SignAgain(String),
    /// No response.
    Nothing,
    /// What nobody is to be told.
    Wrong(String),
}

impl Told {
    pub(super) const fn is_final(&self) -> bool {
        !matches!(self, Self::InFlight | Self::Unavailable | Self::Nothing)
    }

    fn line(&self) -> String {
        match self {
            Self::Served { again: false, .. } => "200".into(),
            Self::Served { again: true, .. } => "200, kept response".into(),
            Self::InFlight => "409, come back".into(),
            Self::Unavailable => "503, come back".into(),
            Self::Used(code) => format!("409, {code}"),
            Self::SignAgain(code) => format!("402, {code}"),
            Self::Nothing => "no answer".into(),
            Self::Wrong(what) => what.clone(),
        }
    }
}

/// The books after a storm.
#[derive(Debug)]
pub(crate) struct Report {
    outage: Outage,
    purchases: Vec<Purchase>,
    /// Nonces of the authorizations that moved money.
    charged: HashSet<String>,
    /// Runs of handlers, whether or not their response reached anybody.
    runs: u64,
}

impl Report {
    /// Asks once more for everything that was paid, so that a second delivery would show, and looks at the chain.
    pub(super) fn new(fleet: &Fleet, outage: Outage, mut purchases: Vec<Purchase>) -> Self {
        for (at, purchase) in purchases.iter_mut().enumerate() {
            let begun = Instant::now();
            let told = told(purchase.request.send(fleet.servers[at % fleet.servers.len()].address()));
            purchase.presentations.push(Presentation { begun, took: begun.elapsed(), told });
        }
        let charged = charged(fleet, &purchases);
        let books = fleet.books();
        assert_eq!(books.transfers, charged.len(), "each one is a transfer");
        Self { outage, purchases, charged, runs: books.runs.values().sum() }
    }

    /// Whatever happened: nobody is charged twice for a purchase, gets it twice, or gets it unpaid; all purchases end;
    /// while the store is gone everybody is told so at once.
    pub(crate) fn keeps_the_promises(&self) -> &Self {
        for purchase in &self.purchases {
            let tokens = purchase.tokens();
            assert!(tokens.len() <= 1, "delivered twice: {purchase:#?}");
            assert!(tokens.is_empty() || self.is_charged(purchase), "delivered unpaid: {purchase:#?}");
            let asked_again = purchase.told().any(|told| matches!(told, Told::SignAgain(_)));
            assert!(!(asked_again && self.is_charged(purchase)), "asked to pay twice: {purchase:#?}");
            assert!(purchase.told().all(|told| !matches!(told, Told::Wrong(_))), "{purchase:#?}");
            assert!(purchase.told().any(Told::is_final), "no end: {purchase:#?}");
        }
        let late = self.meanwhile().filter(|presentation| presentation.took > AT_ONCE).count();
        for presentation in self.meanwhile() {
            assert_eq!(presentation.told, Told::Unavailable);
            assert!(presentation.took < AT_ONCE * 2, "{presentation:?}");
        }
        // Whatever else this machine has to do must not fail a test: one in ten may be late.
        assert!(late * 10 <= self.meanwhile().count(), "{late} were told too late");
        self
    }

    /// Every payment that moved money bought its response.
    pub(crate) fn loses_nothing(&self) {
        for purchase in self.purchases.iter().filter(|purchase| self.is_charged(purchase)) {
            assert!(!purchase.tokens().is_empty(), "paid, and not delivered: {purchase:#?}");
        }
    }

    /// Prints the table.
    pub(crate) fn tell(&self, what: &str) -> &Self {
        let mut lines: BTreeMap<String, [usize; 3]> = BTreeMap::new();
        for presentation in self.purchases.iter().flat_map(|purchase| &purchase.presentations) {
            let Outage { from, back, .. } = self.outage;
            let phase = usize::from(presentation.begun >= from) + usize::from(presentation.begun >= back);
            lines.entry(presentation.told.line()).or_default()[phase] += 1;
        }
        let mut text = format!("\n{what}\n  {:<32} {:>7} {:>7} {:>7}\n", "told", "before", "gone", "after");
        for (line, [before, gone, after]) in lines {
            writeln!(text, "  {line:<32} {before:>7} {gone:>7} {after:>7}").expect("text takes any text");
        }
        let delivered = self.purchases.iter().filter(|purchase| !purchase.tokens().is_empty()).count();
        let slowest = self.meanwhile().map(|presentation| presentation.took).max().unwrap_or_default();
        writeln!(
            text,
            "  gone for {:.1?}: slowest answer after {slowest:.0?}; ready again after {:.0?}, sold again after {:.0?}\n  \
             {} payments: {} charged, {delivered} delivered; {} runs",
            self.outage.back - self.outage.from,
            self.outage.ready_after,
            self.sold_again_after(),
            self.purchases.len(),
            self.charged.len(),
            self.runs,
        )
        .expect("text takes any text");
        say(&text);
        self
    }

    /// Answers to what was presented while the store was gone, and long enough before it came back.
    fn meanwhile(&self) -> impl Iterator<Item = &Presentation> {
        let Outage { from, to, .. } = self.outage;
        let all = self.purchases.iter().flat_map(|purchase| &purchase.presentations);
        all.filter(move |presentation| presentation.begun >= from && presentation.begun + AT_ONCE <= to)
    }

    fn sold_again_after(&self) -> Duration {
        let all = self.purchases.iter().flat_map(|purchase| &purchase.presentations);
        let served = all.filter(|presentation| matches!(presentation.told, Told::Served { .. }));
        let ends = served.map(|presentation| presentation.begun + presentation.took);
        let first = ends.filter(|end| *end >= self.outage.back).min().expect("something is sold again");
        first - self.outage.back
    }

    fn is_charged(&self, purchase: &Purchase) -> bool {
        self.charged.contains(&purchase.nonce.to_lowercase())
    }
}

/// Looks at the chain until everything is paid that was delivered: where settlement is deferred, whatever lost its holder
/// is settled when its lease has run out.
fn charged(fleet: &Fleet, purchases: &[Purchase]) -> HashSet<String> {
    let began = Instant::now();
    loop {
        let used = fleet.chain.used_nonces(fleet.payer.address()).expect("the chain tells");
        let charged: HashSet<_> = used.iter().map(|nonce| nonce.to_lowercase()).collect();
        assert_eq!(charged.len(), used.len(), "an authorization was used twice");
        let is_paid = |purchase: &Purchase| {
            purchase.tokens().is_empty() || charged.contains(&purchase.nonce.to_lowercase())
        };
        if purchases.iter().all(is_paid) || began.elapsed() > TO_SETTLE {
            return charged;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

impl Purchase {
    fn told(&self) -> impl Iterator<Item = &Told> {
        self.presentations.iter().map(|presentation| &presentation.told)
    }

    /// The runs whose response reached the customer.
    fn tokens(&self) -> BTreeSet<&str> {
        self.told()
            .filter_map(|told| match told {
                Told::Served { token, .. } => Some(token.as_str()),
                _ => None,
            })
            .collect()
    }
}

const AT_ONCE: Duration = Duration::from_secs(1);
/// Longer than a lease.
const TO_SETTLE: Duration = Duration::from_secs(60);
