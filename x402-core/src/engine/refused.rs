//! What a refusal to settle means: pure, one table.

use crate::{
    error::RejectReason,
    facilitator::{Evidence, Settlement},
};

/// Whether an authorization was sent before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Attempt {
    /// Not for this order: a refusal means that nothing moved for it.
    First,
    /// It was, with an unknown outcome: only the chain can say that nothing moved.
    Again,
}

/// What became of the money of an authorization that a facilitator refused to settle.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refused {
    /// It moved: an earlier attempt, or a stranger, moved it.
    Settled(Settlement),
    /// It did not move for this order.
    Failed {
        /// Why.
        reason: RejectReason,
        /// Whether it never will.
        dead: bool,
    },
    /// Nobody knows.
    Unclear,
}

/// Decides what a refusal means, given what the chain shows.
///
/// An authorization that was used before this order sent anything may have been settled by a stranger, and then it
/// counts. In a store that forgets it may as well have been settled, and delivered, by an order that is forgotten: there
/// it never counts, and since it may have paid us, its payer is not asked to sign again.
pub(super) fn refused(
    attempt: Attempt,
    store_forgets: bool,
    reason: RejectReason,
    transaction: Option<&str>,
    evidence: Option<Evidence>,
) -> Refused {
    let used_before = || Refused::Failed { reason: RejectReason::NonceAlreadyUsed, dead: false };
    let forgotten = attempt == Attempt::First && store_forgets;
    match evidence {
        Some(Evidence::Dead(reason)) => Refused::Failed { reason, dead: true },
        Some(Evidence::Settled(settlement)) => {
            if forgotten && transaction != Some(&*settlement.transaction) {
                used_before()
            } else {
                Refused::Settled(settlement)
            }
        }
        _ if attempt == Attempt::Again => Refused::Unclear,
        _ if reason != RejectReason::NonceAlreadyUsed => {
            let dead = reason.is_dead();
            Refused::Failed { reason, dead }
        }
        // With a transaction of its own it may have used the authorization itself.
        _ if forgotten && transaction.is_none() => used_before(),
        _ => Refused::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::{AtomicAmount, NetworkId};

    #[test]
    fn a_used_authorization_counts_only_where_nothing_is_forgotten() {
        use Attempt::{Again, First};
        let network = NetworkId::new("eip155:84532").unwrap();
        let ours = Settlement::new("0x1".into(), network, "0xa".into(), AtomicAmount::from(1_u64));
        let used = || RejectReason::NonceAlreadyUsed;
        let broke = || RejectReason::InsufficientFunds;
        let paid = || Some(Evidence::Settled(ours.clone()));
        let spent = || Some(Evidence::Dead(used()));
        let open = || Some(Evidence::StillPossible);
        let settled = || Refused::Settled(ours.clone());
        let failed = |reason, dead| Refused::Failed { reason, dead };
        // Attempt, refusal, its transaction, evidence; in a store that remembers; in one that forgets.
        for (attempt, reason, transaction, evidence, remembers, forgets) in [
            (First, used(), None, paid(), settled(), failed(used(), false)),
            (First, broke(), None, paid(), settled(), failed(used(), false)),
            (First, used(), Some("0x2"), paid(), settled(), failed(used(), false)),
            (First, used(), Some("0x1"), paid(), settled(), settled()),
            (First, used(), None, spent(), failed(used(), true), failed(used(), true)),
            (First, used(), None, open(), Refused::Unclear, failed(used(), false)),
            (First, used(), None, None, Refused::Unclear, failed(used(), false)),
            (First, used(), Some("0x1"), None, Refused::Unclear, Refused::Unclear),
            (First, broke(), None, open(), failed(broke(), false), failed(broke(), false)),
            (First, broke(), None, None, failed(broke(), false), failed(broke(), false)),
            (Again, used(), None, paid(), settled(), settled()),
            (Again, used(), None, open(), Refused::Unclear, Refused::Unclear),
            (Again, broke(), None, None, Refused::Unclear, Refused::Unclear),
            (Again, used(), None, spent(), failed(used(), true), failed(used(), true)),
        ] {
            for (forgets, wanted) in [(false, remembers), (true, forgets)] {
                let told = refused(attempt, forgets, reason.clone(), transaction, evidence.clone());
                assert_eq!(told, wanted, "{attempt:?} {reason:?} {transaction:?} {evidence:?} {forgets}");
            }
        }
    }
}
