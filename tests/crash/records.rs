//! What the store says, held against what the chain says.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use devchain::{DevChain, Income};
use tokio::runtime::{Builder, Runtime};
use x402_core::{
    order::{Attention, DeliveryState, Filter, OWED_AFTER, Order, OrderStore, PaymentState},
    time::UnixSeconds,
};
use x402_tests::{MERCHANT, now};

use crate::stage::Place;

/// A store that is looked at from outside.
pub(crate) struct Records {
    runtime: Runtime,
    store: Arc<dyn OrderStore>,
}

/// How the orders of a store stand, by number.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Standing {
    /// Paid for and delivered.
    pub(crate) completed: usize,
    /// Paid for, not known to be delivered, and listed as such.
    pub(crate) owed: usize,
    /// Not paid for: given up, failed, or begun and never sent.
    pub(crate) unpaid: usize,
}

impl Records {
    pub(crate) fn of(place: &Place) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let store = runtime.block_on(place.open()).expect("the store opens");
        Self { runtime, store }
    }

    /// All orders.
    pub(crate) fn orders(&self) -> Vec<Order> {
        self.page(&Filter::default(), UnixSeconds::new(now()))
    }

    /// Orders that somebody works on.
    pub(crate) fn leased(&self) -> Vec<Order> {
        let now = UnixSeconds::new(now());
        self.orders().into_iter().filter(|order| order.is_leased(now)).collect()
    }

    /// Asserts that the store has settled exactly what the chain has, transfer by transfer, and that all of it was delivered or
    /// is listed as owed.
    ///
    /// # Panics
    /// When not.
    #[track_caller]
    pub(crate) fn agree_with(&self, chain: &DevChain) -> Standing {
        let orders = self.orders();
        let settled: Vec<_> =
            orders.iter().filter(|order| order.state.payment == PaymentState::Settled).collect();
        let mut kept: Vec<_> = settled.iter().map(|order| income(order)).collect();
        kept.sort_unstable();
        let mut moved = chain.income(MERCHANT.address).expect("the chain tells transfers");
        moved.sort_unstable();
        let difference = sum(&kept).abs_diff(sum(&moved));
        assert_eq!(kept, moved, "store minus chain is {difference}");
        let owed = self.page(
            &Filter { attention: Some(Attention::PaidUndelivered), ..Filter::default() },
            UnixSeconds::new(now()).after(OWED_AFTER).after(Duration::from_secs(LEASE)),
        );
        let delivered = |order: &&&Order| order.state.delivery == DeliveryState::Delivered;
        let completed = settled.iter().filter(delivered).count();
        assert_eq!(completed + owed.len(), settled.len(), "every paid order is delivered or listed as owed");
        Standing { completed, owed: owed.len(), unpaid: orders.len() - settled.len() }
    }

    /// How many orders stand how.
    pub(crate) fn tally(&self) -> BTreeMap<String, usize> {
        let mut tally = BTreeMap::new();
        for order in self.orders() {
            let state = order.state;
            *tally.entry(format!("{:?}/{:?}", state.payment, state.delivery)).or_default() += 1;
        }
        tally
    }

    fn page(&self, filter: &Filter, now: UnixSeconds) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut after = None;
        loop {
            let page = self.runtime.block_on(self.store.page(filter, after, 200, now));
            let page = page.expect("the store answers");
            orders.extend(page.orders);
            match page.next {
                Some(next) => after = Some(next),
                None => return orders,
            }
        }
    }
}

fn income(order: &Order) -> Income {
    let settlement = order.settlement.as_ref().expect("a settled order has its settlement");
    Income {
        transaction: settlement.transaction.to_lowercase(),
        amount: settlement.amount.to_string().parse().expect("an amount of a test is small"),
    }
}

fn sum(incomes: &[Income]) -> u128 {
    incomes.iter().map(|income| income.amount).sum()
}

/// For how long an order may still be held by somebody who is gone.
const LEASE: u64 = 20;
