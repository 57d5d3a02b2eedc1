use std::fmt;

use x402_core::price::{Lookup, Prices};

use crate::{Race, prices_with_rules};

/// Look-ups in tables of 10, 100 and 1000 rules.
pub struct Lookups([(Prices, [Kind; 3]); 3]);

struct Kind {
    name: &'static str,
    path: String,
}

impl Lookups {
    /// Builds the tables.
    #[must_use]
    pub fn new() -> Self {
        Self([
            table(10, ["10 rules, priced", "10 rules, unknown", "10 rules, trailing slash"]),
            table(100, ["100 rules, priced", "100 rules, unknown", "100 rules, trailing slash"]),
            table(1000, ["1000 rules, priced", "1000 rules, unknown", "1000 rules, trailing slash"]),
        ])
    }

    /// Each look-up, as a name and what it takes; `true` if it costs something.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, impl Fn() -> bool)> {
        self.0.iter().flat_map(|(prices, kinds)| {
            kinds.iter().map(move |kind| {
                let look_up = || matches!(prices.lookup("GET", &kind.path), Lookup::Priced(_));
                (kind.name, look_up)
            })
        })
    }

    /// Lets them race.
    pub fn race(&self) -> Race<'_> {
        self.iter().fold(Race::new(), |race, (name, run)| race.runner(name, run))
    }
}

impl Default for Lookups {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

fn table(rules: usize, [priced, unknown, slash]: [&'static str; 3]) -> (Prices, [Kind; 3]) {
    let last = rules - 1;
    let kinds = [
        Kind { name: priced, path: format!("/service-{last}/items/42") },
        Kind { name: unknown, path: format!("/service-{last}/things/42") },
        Kind { name: slash, path: format!("/service-{last}/things/") },
    ];
    (prices_with_rules(rules), kinds)
}
