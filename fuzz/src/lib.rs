//! What the fuzz targets share. Each target is a property that no input may break:
//!
//! | target | property |
//! |---|---|
//! | `payment_header` | whatever stands in a payment header, a priced path is never free, nothing panics, and what is delivered was paid for |
//! | `path` | whatever the path and method, a request that a router could take to a priced route is never free |
//! | `amount` | an amount has one spelling |
//!
//! `cargo xtask test fuzz` runs each for ten seconds, from the examples in `seeds/`.

mod paywall;
mod router;

pub use self::{
    paywall::{Head, Paywall},
    router::{Verdict, prices, verdict},
};
