//! What every [`OrderStore`](crate::order::OrderStore) must do, as tests.
//!
//! [`store_contract!`](crate::store_contract) makes one test of each property here, with a new store for each: an empty
//! one that nobody else uses meanwhile, since a worker takes whatever is due. The crate that uses it needs `tokio` with the
//! features `macros` and `rt-multi-thread`.
//!
//! ```
//! # // Its tests run under `cargo test` of the crate that has them.
//! use x402_core::order::MemoryStore;
//!
//! x402_core::store_contract!(memory, MemoryStore::new());
//! // Where making a store takes time: store_contract!(cluster, ClusterStore::connect(URL).await.unwrap());
//! ```
//!
//! A store that is the permanent record of its orders keeps
//! [`permanent_store_contract!`](crate::permanent_store_contract) besides.
//!
//! *Time.* Every step gets its `now`: the present second, or up to a day later. Stores use it, except that one whose back
//! end forgets by a clock of its own need not forget earlier; no property asks that something be gone. What must still be
//! there later is there.

mod charges;
mod claims;
mod deferred;
mod due;
mod fences;
mod histories;
mod identifiers;
mod pages;
mod paid;
mod payments;
mod permanent;
mod records;

pub use self::{
    charges::{
        a_charge_is_recorded_before_it_is_settled_and_stays,
        a_metered_response_is_charged_once_and_never_owed,
        a_metered_response_that_was_lost_is_charged_what_was_recorded,
    },
    claims::{
        a_held_order_is_taken_over_only_when_its_lease_lapsed, a_rejected_claim_is_free_for_any_request,
        a_released_order_is_taken_over_at_once, another_request_never_takes_the_order,
        of_64_parallel_claims_one_is_new, of_64_parallel_take_overs_one_succeeds,
    },
    deferred::{
        a_deferred_order_is_held_until_both_halves_are_done, a_deferred_response_is_kept,
        a_payment_is_kept_while_its_settlement_is_owed, no_other_payment_is_kept,
        owed_settlements_are_counted,
    },
    due::{
        a_due_order_is_taken_once_by_one_of_16_workers, a_worker_overtakes_and_is_overtaken,
        an_order_somebody_works_on_is_not_due, due_orders_come_in_portions,
        orders_are_due_when_their_table_says, what_a_worker_reports_decides_when_it_is_due_again,
    },
    fences::{
        a_lapsed_holder_reports_but_begins_nothing_until_it_renews, a_released_holder_changes_nothing,
        a_renewal_that_comes_late_does_not_shorten_the_lease, a_renewed_order_is_not_taken_over,
        a_stranger_with_the_right_fence_changes_nothing, an_overtaken_holder_changes_nothing,
    },
    histories::a_history_tells_every_change_in_order_or_nothing,
    identifiers::{
        an_identifier_names_one_payment_of_its_payer, an_identifier_of_a_rejected_claim_is_free,
        of_64_parallel_claims_of_one_identifier_one_is_new, payers_do_not_share_identifiers,
    },
    pages::{
        a_claim_made_again_is_listed_once, a_page_has_what_its_filter_admits,
        pages_have_every_order_once_while_others_come,
    },
    paid::{
        a_delivered_order_stays_held, a_settled_undelivered_order_is_resumed_by_one_of_50,
        an_interrupted_settlement_is_resumed_as_unresolved, the_handler_runs_at_most_three_times_unpaid,
    },
    payments::Payments,
    permanent::{
        a_claim_made_again_keeps_its_history, a_history_is_kept, a_transfer_settles_one_order,
        of_16_parallel_settlements_with_one_transfer_one_succeeds, orders_are_remembered_for_ever,
        provenance_is_kept, transfers_of_unknown_place_are_not_compared,
    },
    records::{
        a_kept_response_is_returned_and_survives_a_second_settlement, a_settled_order_is_remembered_longer,
        a_store_that_works_answers_a_ping, an_order_is_remembered_until_it_may_be_forgotten,
        impossible_events_change_nothing, nothing_is_known_of_a_payment_never_claimed,
        provenance_is_kept_whole_or_not_at_all, what_is_found_is_what_was_written,
        what_must_be_kept_survives_tidying,
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
                a_charge_is_recorded_before_it_is_settled_and_stays
                a_claim_made_again_is_listed_once
                a_deferred_order_is_held_until_both_halves_are_done
                a_deferred_response_is_kept
                a_delivered_order_stays_held
                a_due_order_is_taken_once_by_one_of_16_workers
                a_held_order_is_taken_over_only_when_its_lease_lapsed
                a_history_tells_every_change_in_order_or_nothing
                a_kept_response_is_returned_and_survives_a_second_settlement
                a_lapsed_holder_reports_but_begins_nothing_until_it_renews
                a_metered_response_is_charged_once_and_never_owed
                a_metered_response_that_was_lost_is_charged_what_was_recorded
                a_page_has_what_its_filter_admits
                a_payment_is_kept_while_its_settlement_is_owed
                a_rejected_claim_is_free_for_any_request
                a_released_holder_changes_nothing
                a_released_order_is_taken_over_at_once
                a_renewal_that_comes_late_does_not_shorten_the_lease
                a_renewed_order_is_not_taken_over
                a_settled_order_is_remembered_longer
                a_settled_undelivered_order_is_resumed_by_one_of_50
                a_store_that_works_answers_a_ping
                a_stranger_with_the_right_fence_changes_nothing
                a_worker_overtakes_and_is_overtaken
                an_identifier_names_one_payment_of_its_payer
                an_identifier_of_a_rejected_claim_is_free
                an_interrupted_settlement_is_resumed_as_unresolved
                an_order_is_remembered_until_it_may_be_forgotten
                an_order_somebody_works_on_is_not_due
                an_overtaken_holder_changes_nothing
                another_request_never_takes_the_order
                due_orders_come_in_portions
                impossible_events_change_nothing
                no_other_payment_is_kept
                nothing_is_known_of_a_payment_never_claimed
                of_64_parallel_claims_of_one_identifier_one_is_new
                of_64_parallel_claims_one_is_new
                of_64_parallel_take_overs_one_succeeds
                orders_are_due_when_their_table_says
                owed_settlements_are_counted
                pages_have_every_order_once_while_others_come
                payers_do_not_share_identifiers
                provenance_is_kept_whole_or_not_at_all
                the_handler_runs_at_most_three_times_unpaid
                what_a_worker_reports_decides_when_it_is_due_again
                what_is_found_is_what_was_written
                what_must_be_kept_survives_tidying
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

/// Tests that a store keeps what is asked of a permanent record: the same for the properties that only such a store has.
#[macro_export]
macro_rules! permanent_store_contract {
    ($name:ident, $store:expr) => {
        #[cfg(test)]
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $crate::store_contract! { @tests $store =>
                a_claim_made_again_keeps_its_history
                a_history_is_kept
                a_transfer_settles_one_order
                of_16_parallel_settlements_with_one_transfer_one_succeeds
                orders_are_remembered_for_ever
                provenance_is_kept
                transfers_of_unknown_place_are_not_compared
            }
        }
    };
}
