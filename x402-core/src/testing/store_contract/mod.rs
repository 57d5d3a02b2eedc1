//! What every [`OrderStore`](crate::order::OrderStore) must do, as tests.
//!
//! [`store_contract!`](crate::store_contract) makes one test of each property here, with a new store for each. The
//! stores may share what is behind them: every test makes payments of its own. The crate that uses it needs `tokio`
//! with the features `macros` and `rt-multi-thread`.
//!
//! ```
//! # // Its tests run under `cargo test` of the crate that has them.
//! use x402_core::order::MemoryStore;
//!
//! x402_core::store_contract!(memory, MemoryStore::new());
//! // Where making a store takes time: store_contract!(cluster, ClusterStore::connect(URL).await.unwrap());
//! ```

mod claims;
mod fences;
mod identifiers;
mod payments;
mod records;

pub use self::{
    claims::{
        a_held_order_is_taken_over_only_when_its_lease_lapsed, a_rejected_claim_is_free_for_any_request,
        a_released_order_is_taken_over_at_once, another_request_never_takes_the_order,
        of_64_parallel_claims_one_is_new, of_64_parallel_take_overs_one_succeeds,
    },
    fences::{
        a_lapsed_holder_reports_but_begins_nothing_until_it_renews, a_released_holder_changes_nothing,
        a_renewed_order_is_not_taken_over, a_stranger_with_the_right_fence_changes_nothing,
        an_overtaken_holder_changes_nothing,
    },
    identifiers::{
        an_identifier_names_one_payment_of_its_payer, an_identifier_of_a_rejected_claim_is_free,
        of_64_parallel_claims_of_one_identifier_one_is_new, payers_do_not_share_identifiers,
    },
    payments::{
        Payments, a_delivered_order_stays_held, a_settled_undelivered_order_is_resumed_by_one_of_50,
        an_interrupted_settlement_is_resumed_as_unresolved, the_handler_runs_at_most_three_times_unpaid,
    },
    records::{
        a_kept_response_is_returned_and_survives_a_second_settlement, a_settled_order_is_remembered_longer,
        an_order_is_remembered_until_it_may_be_forgotten, impossible_events_change_nothing,
        nothing_is_known_of_a_payment_never_claimed, what_is_found_is_what_was_written,
    },
};

/// Tests that a store keeps the [contract](crate::testing::store_contract): a module of this name, with one
/// `#[tokio::test]` for each property. The expression makes a store; it may `.await`.
#[macro_export]
macro_rules! store_contract {
    ($name:ident, $store:expr) => {
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $crate::store_contract! { @tests $store =>
                a_delivered_order_stays_held
                a_held_order_is_taken_over_only_when_its_lease_lapsed
                a_kept_response_is_returned_and_survives_a_second_settlement
                a_lapsed_holder_reports_but_begins_nothing_until_it_renews
                a_rejected_claim_is_free_for_any_request
                a_released_holder_changes_nothing
                a_released_order_is_taken_over_at_once
                a_renewed_order_is_not_taken_over
                a_settled_order_is_remembered_longer
                a_settled_undelivered_order_is_resumed_by_one_of_50
                a_stranger_with_the_right_fence_changes_nothing
                an_identifier_names_one_payment_of_its_payer
                an_identifier_of_a_rejected_claim_is_free
                an_interrupted_settlement_is_resumed_as_unresolved
                an_order_is_remembered_until_it_may_be_forgotten
                an_overtaken_holder_changes_nothing
                another_request_never_takes_the_order
                impossible_events_change_nothing
                nothing_is_known_of_a_payment_never_claimed
                of_64_parallel_claims_of_one_identifier_one_is_new
                of_64_parallel_claims_one_is_new
                of_64_parallel_take_overs_one_succeeds
                payers_do_not_share_identifiers
                the_handler_runs_at_most_three_times_unpaid
                what_is_found_is_what_was_written
            }
        }
    };
    (@tests $store:expr => $($property:ident)*) => { $(
        #[::tokio::test(flavor = "multi_thread")]
        async fn $property() {
            $crate::testing::store_contract::$property(::std::sync::Arc::new($store)).await;
        }
    )* };
}
