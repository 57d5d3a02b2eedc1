//! How much of one payer may be verified and not settled at once: what was promised twice is paid once.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    ExposureLimits,
    facilitator::Payment,
    price::{AtomicAmount, NetworkId},
    scheme::PaymentKey,
};

/// What this process has verified and not settled, by payer and token.
#[derive(Debug)]
pub(super) struct Exposure {
    limits: ExposureLimits,
    ledger: Mutex<HashMap<Account, HashMap<PaymentKey, Share>>>,
}

/// What somebody holds of a token.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Account {
    payer: Arc<str>,
    network: NetworkId,
    asset: Arc<str>,
}

/// One payment's part.
#[derive(Debug)]
struct Share {
    /// Copies of the payment that are looked at; together they expose it once.
    copies: usize,
    amount: AtomicAmount,
}

/// A payment that is counted, until it is settled, failed or given up.
pub(super) struct Exposed {
    exposure: Arc<Exposure>,
    account: Account,
    key: PaymentKey,
    /// What other payments of the same account were counted with before this one.
    committed: AtomicAmount,
    over: AtomicBool,
}

impl Exposure {
    pub(super) fn new(limits: ExposureLimits) -> Arc<Self> {
        Arc::new(Self { limits, ledger: Mutex::default() })
    }

    /// Counts a payment; `None` where its payer has as many under way as it may. One of whom a settlement failed lately may
    /// have one.
    pub(super) fn take(this: &Arc<Self>, payment: &Payment, failed_lately: bool) -> Option<Exposed> {
        let (option, key) = (&payment.option, payment.authorization.key);
        let account = Account {
            payer: payment.authorization.payer.to_ascii_lowercase().into(),
            network: option.network.clone(),
            asset: option.asset.to_ascii_lowercase().into(),
        };
        let most = if failed_lately { this.limits.per_payer.min(1) } else { this.limits.per_payer };
        let mut ledger = this.ledger();
        let others = ledger.get(&account);
        let is_copy = others.is_some_and(|shares| shares.contains_key(&key));
        if !is_copy && others.map_or(0, HashMap::len) >= most {
            return None;
        }
        let others = others.into_iter().flatten().filter(|(other, _)| **other != key);
        let committed = others
            .map(|(_, share)| share.amount)
            .try_fold(AtomicAmount::ZERO, AtomicAmount::checked_add)
            .unwrap_or(AtomicAmount::MAX);
        let shares = ledger.entry(account.clone()).or_default();
        shares.entry(key).or_insert(Share { copies: 0, amount: option.amount }).copies += 1;
        drop(ledger);
        Some(Exposed { exposure: Arc::clone(this), account, key, committed, over: AtomicBool::new(false) })
    }

    fn ledger(&self) -> MutexGuard<'_, HashMap<Account, HashMap<PaymentKey, Share>>> {
        // Counts are right after every step, whoever panicked.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exposed {
    pub(super) const fn committed(&self) -> AtomicAmount {
        self.committed
    }

    /// It is settled, or failed: it counts no longer, however long its response takes.
    pub(super) fn end(&self) {
        if self.over.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut ledger = self.exposure.ledger();
        let Some(shares) = ledger.get_mut(&self.account) else { return };
        if let Some(share) = shares.get_mut(&self.key) {
            share.copies -= 1;
            if share.copies == 0 {
                shares.remove(&self.key);
            }
        }
        if shares.is_empty() {
            ledger.remove(&self.account);
        }
    }
}

impl Drop for Exposed {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposed").field("key", &self.key).field("over", &self.over).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::{price::PriceOption, testing::TestPayer};

    fn payment(payer: &TestPayer, asset: u8, amount: u64) -> Payment {
        let network = NetworkId::new("eip155:84532").unwrap();
        let address = |last| format!("0x{last:040x}");
        payer.payment(&PriceOption::new(network, address(asset), amount, address(9)))
    }

    #[test]
    fn a_payer_has_so_many_payments_in_a_token_under_way_and_no_more() {
        let exposure = Exposure::new(ExposureLimits::default().per_payer(2));
        let (alice, bob) = (TestPayer::new("alice"), TestPayer::new("bob"));
        let take = |payment: &Payment| Exposure::take(&exposure, payment, false);
        let (first, second, third) = (payment(&alice, 1, 5), payment(&alice, 1, 7), payment(&alice, 1, 9));
        let one = take(&first).unwrap();
        let two = take(&second).unwrap();
        assert_eq!((one.committed(), two.committed()), (0_u64.into(), 5_u64.into()));
        assert!(take(&third).is_none());
        assert_eq!(take(&payment(&bob, 1, 1)).unwrap().committed(), 0_u64.into());
        assert_eq!(take(&payment(&alice, 2, 1)).unwrap().committed(), 0_u64.into());
        // A copy exposes nothing that was not exposed before.
        let copy = take(&first).unwrap();
        assert_eq!(copy.committed(), 7_u64.into());
        drop(one);
        assert!(take(&third).is_none(), "its copy is still under way");
        copy.end();
        drop(copy);
        assert_eq!(take(&third).unwrap().committed(), 7_u64.into());
        drop(two);
        assert!(exposure.ledger().is_empty());
    }

    #[test]
    fn whoever_let_a_settlement_fail_has_one_under_way() {
        let exposure = Exposure::new(ExposureLimits::default());
        let alice = TestPayer::new("alice");
        let one = Exposure::take(&exposure, &payment(&alice, 1, 5), true).unwrap();
        assert!(Exposure::take(&exposure, &payment(&alice, 1, 5), true).is_none());
        assert!(Exposure::take(&exposure, &payment(&alice, 1, 5), false).is_some());
        drop(one);
        assert!(Exposure::take(&exposure, &payment(&alice, 1, 5), true).is_some());
    }
}
