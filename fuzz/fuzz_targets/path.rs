//! Whatever the path and method, a request that a router could take to a priced route is never free.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use x402_core::price::{Lookup, Prices};
use x402_fuzz::{Verdict, prices, verdict};

static PRICES: LazyLock<Prices> = LazyLock::new(prices);

// A method, a space, a path.
fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((method, path)) = text.split_once(' ') else { return };
    let found = PRICES.lookup(method, path);
    if verdict(method, path) == Verdict::Priced {
        assert!(!matches!(found, Lookup::Free), "{method} {path:?} is free");
    }
});
