use std::hint::black_box;

use x402_core::{Engine, Triage};

use crate::{Apps, FREE, Head, PRICED, Race, ready, request, send};

/// The requests that must be cheap, each as a name and what it takes to answer it.
pub struct Cases(Vec<(&'static str, Case)>);

type Case = Box<dyn FnMut()>;

impl Cases {
    /// Bare axum, and free and unpaid requests through the engine, in every mount.
    #[must_use]
    pub fn new(engine: &Engine) -> Self {
        let Apps { bare, wrapped, idle_layer, paywall_layer } = Apps::new(engine.clone());
        let mut cases = Self(Vec::new());
        cases.add(BARE, move || ready(send(&bare, request(FREE, None))));
        cases.add_both([FREE_AROUND, UNPAID_AROUND], move |path| ready(send(&wrapped, request(path, None))));
        cases.add(IDLE_LAYER, move || ready(send(&idle_layer, request(FREE, None))));
        cases.add_both([FREE_LAYER, UNPAID_LAYER], move |path| {
            ready(send(&paywall_layer, request(path, None)))
        });
        let shared = engine.clone();
        cases.add(TRIAGE_FREE, move || {
            let triage = shared.triage(&Head { path: FREE, payment: None });
            assert!(matches!(triage, Triage::Free));
        });
        let shared = engine.clone();
        cases.add(TRIAGE_UNPAID, move || shared.triage(&Head::unpaid()));
        cases
    }

    /// Counts something in each, once it is warm.
    pub fn count(&mut self, mut count: impl FnMut(&mut dyn FnMut()) -> u64) -> Counts {
        let count_one = |(name, run): &mut (&'static str, Case)| {
            (0..WARM).for_each(|_| run());
            (*name, count(&mut **run))
        };
        Counts(self.0.iter_mut().map(count_one).collect())
    }

    /// Lets them race.
    pub fn race(&mut self) -> Race<'_> {
        self.0.iter_mut().fold(Race::new(), |race, (name, run)| race.runner(name, run))
    }

    /// The cases one by one.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut dyn FnMut())> {
        self.0.iter_mut().map(|(name, run)| (*name, &mut **run as &mut dyn FnMut()))
    }

    fn add<T>(&mut self, name: &'static str, mut run: impl FnMut() -> T + 'static) {
        self.0.push((name, Box::new(move || drop(black_box(run())))));
    }

    fn add_both<T>(&mut self, [free, unpaid]: [&'static str; 2], run: impl Fn(&str) -> T + Clone + 'static) {
        let other = run.clone();
        self.add(free, move || run(FREE));
        self.add(unpaid, move || other(PRICED));
    }
}

impl std::fmt::Debug for Cases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// What was counted, by case.
#[derive(Clone, Debug)]
pub struct Counts(Vec<(&'static str, u64)>);

impl Counts {
    /// The count of one case.
    ///
    /// # Panics
    /// When there is no case of this name.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        let found = self.0.iter().find(|(case, _)| *case == name);
        found.unwrap_or_else(|| panic!("{name} was not counted")).1
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(name, count)| writeln!(f, "{name:<44} {count:>4}"))
    }
}

/// A route with a parameter, its handler and nothing else. Free and priced routes are the same but for the name.
pub const BARE: &str = "bare axum";
/// The free route with the paywall around the router.
pub const FREE_AROUND: &str = "free route, paywall around the router";
/// The free route with a layer that adds nothing.
pub const IDLE_LAYER: &str = "free route, layer that adds nothing";
/// The free route with the paywall as the router's layer.
pub const FREE_LAYER: &str = "free route, paywall as layer";
/// A 402 with the paywall around the router.
pub const UNPAID_AROUND: &str = "unpaid 402, paywall around the router";
/// A 402 with the paywall as the router's layer.
pub const UNPAID_LAYER: &str = "unpaid 402, paywall as layer";
/// The engine's own part of a free route.
pub const TRIAGE_FREE: &str = "triage alone, free";
/// The engine's own part of a 402.
pub const TRIAGE_UNPAID: &str = "triage alone, unpaid 402";
/// Thread-local pools and caches are filled by then.
const WARM: u32 = 200;
