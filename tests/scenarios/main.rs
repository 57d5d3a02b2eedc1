//! One list of stories, told through every adapter over real sockets, so that none can drift from the others.
//!
//! A story is a function over [`Framework`](x402_tests::Framework). It asserts what the payer sees first, then what
//! the server counted, what it logged, and what the chain says.

/// Makes a test per adapter of each story.
macro_rules! through_every_adapter {
    ($($story:ident),+ $(,)?) => {
        mod axum {
            $(#[test] fn $story() { super::$story(x402_tests::Framework::Axum); })+
        }
        mod tower {
            $(#[test] fn $story() { super::$story(x402_tests::Framework::Tower); })+
        }
        mod actix {
            $(#[test] fn $story() { super::$story(x402_tests::Framework::Actix); })+
        }
    };
}

mod before_handler;
mod bodies;
mod charges;
mod conflicts;
mod crowds;
mod failures;
mod identifiers;
mod malformed;
mod methods;
mod ordinary;
mod outages;
mod paths;
mod paying;
mod permit2;
mod quotes;
mod refusals;
mod replays;
mod settlements;
mod streaming;
mod unpaid;
mod upgrades;
mod vetoes;
