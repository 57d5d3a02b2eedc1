//! Payments kept until they are settled, and how many there are of each payer.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use crate::{
    order::{Deferred, KeptPayment},
    scheme::PaymentKey,
};

/// Of orders that [owe their settlement](crate::order::Order::owes_settlement), no others: both maps are as large as what is
/// owed.
#[derive(Default)]
pub(super) struct Owed {
    payments: HashMap<PaymentKey, (Arc<str>, Arc<KeptPayment>)>,
    of_payer: HashMap<Arc<str>, u64>,
}

impl Owed {
    pub(super) fn keep(&mut self, key: PaymentKey, payer: &Arc<str>, payment: &Arc<KeptPayment>) {
        self.forget(&key);
        *self.of_payer.entry(Arc::clone(payer)).or_default() += 1;
        self.payments.insert(key, (Arc::clone(payer), Arc::clone(payment)));
    }

    pub(super) fn forget(&mut self, key: &PaymentKey) {
        let Some((payer, _)) = self.payments.remove(key) else { return };
        if let Entry::Occupied(mut count) = self.of_payer.entry(payer) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        if self.payments.len() < self.payments.capacity() / 8 {
            self.payments.shrink_to(self.payments.len() * 2);
            self.of_payer.shrink_to(self.of_payer.len() * 2);
        }
    }

    pub(super) fn payment(&self, key: &PaymentKey) -> Option<Arc<KeptPayment>> {
        self.payments.get(key).map(|(_, payment)| Arc::clone(payment))
    }

    pub(super) fn count(&self, payer: &str) -> Deferred {
        Deferred {
            of_payer: self.of_payer.get(payer).copied().unwrap_or_default(),
            in_total: self.payments.len() as u64,
        }
    }
}
