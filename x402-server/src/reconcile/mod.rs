//! Holding a store against the chain.
//!
//! For each order the chain is asked what became of its authorization, and the two are compared:
//!
//! | the store says | the chain says | finding |
//! |---|---|---|
//! | settled | paid, by that transaction | [`Agrees`](Finding::Agrees) |
//! | settled | paid, by another transaction | [`Moved`](Finding::Moved) |
//! | settled | not paid | [`Gone`](Finding::Gone): a reorganisation deeper than the confirmations |
//! | outcome unknown | paid | [`Settled`](Finding::Settled), recorded |
//! | outcome unknown | can never be paid | [`Failed`](Finding::Failed), recorded |
//! | outcome unknown | still possible | [`Open`](Finding::Open) |
//! | not paid | paid | [`Unrecorded`](Finding::Unrecorded) |
//! | not paid | not paid | [`Agrees`](Finding::Agrees) |
//!
//! Where what was used was charged and that was nothing, nothing was to be paid.
//!
//! Nothing is ever charged: money that a reorganisation took back is for a person to look at. What is recorded is
//! recorded as the engine's worker does it, under a lease of its own, so that both may run at once.

mod totals;

use std::{fmt, sync::Arc};

use x402_core::{
    facilitator::{Evidence, Settlement, Transfer, VerifyError, Witness},
    order::{Event, Opened, Order, OrderStore, PaymentState, StoreError},
    price::NetworkId,
    time::{Clock, SystemClock},
};

pub use self::totals::{Total, Totals};
use crate::taken;

/// Compares orders with what the chain shows.
#[derive(Clone)]
pub struct Reconciler {
    store: Arc<dyn OrderStore>,
    witnesses: Vec<(Option<NetworkId>, Arc<dyn Witness>)>,
    clock: Arc<dyn Clock>,
    records: bool,
}

/// What came of comparing one order.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// Store and chain say the same.
    Agrees,
    /// The outcome was unknown: the money moved. Recorded, unless nothing is to be.
    Settled,
    /// The outcome was unknown: the money can never move. Recorded, unless nothing is to be.
    Failed {
        /// The reason code.
        reason: String,
    },
    /// The outcome is unknown still.
    Open,
    /// Somebody works on it.
    Busy,
    /// It is settled, and the chain shows it in another transaction.
    Moved {
        /// The transaction that the chain shows.
        transaction: String,
    },
    /// It is settled, and the chain does not show it any more.
    Gone,
    /// It is not settled, and the chain shows that it was paid.
    Unrecorded {
        /// The transaction that the chain shows.
        transaction: String,
    },
    /// The transfer that the chain shows has settled another order.
    TransferTaken {
        /// The transaction that the chain shows.
        transaction: String,
    },
    /// The chain was not asked, or did not answer.
    Unanswered {
        /// Why.
        why: String,
    },
}

/// An order as it stands after it was compared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checked {
    /// The order.
    pub order: Order,
    /// What the chain shows of it.
    pub on_chain: Option<Settlement>,
    /// What came of it.
    pub finding: Finding,
}

impl Finding {
    /// Whether a person should look at it.
    #[must_use]
    pub const fn needs_attention(&self) -> bool {
        !matches!(self, Self::Agrees | Self::Settled | Self::Failed { .. } | Self::Busy)
    }

    /// The name used in documents.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Settled => "settled",
            Self::Failed { .. } => "failed",
            Self::Open => "open",
            Self::Busy => "busy",
            Self::Moved { .. } => "moved",
            Self::Gone => "gone",
            Self::Unrecorded { .. } => "unrecorded",
            Self::TransferTaken { .. } => "transfer_taken",
            Self::Unanswered { .. } => "unanswered",
        }
    }
}

impl Reconciler {
    /// Compares orders of this store.
    #[must_use]
    pub fn new(store: Arc<dyn OrderStore>) -> Self {
        Self { store, witnesses: Vec::new(), clock: Arc::new(SystemClock), records: true }
    }

    /// Asks this witness about orders on `network`, or on every network without one of its own.
    #[must_use]
    pub fn witness(mut self, network: Option<NetworkId>, witness: impl Witness + 'static) -> Self {
        self.witnesses.push((network, Arc::new(witness)));
        self
    }

    /// Only looks: records nothing.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.records = false;
        self
    }

    /// The clock, for tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Compares one order, and records its outcome if that was unknown and the chain knows it.
    ///
    /// # Errors
    /// [`StoreError`] when the outcome could not be recorded.
    pub async fn compare(&self, order: Order) -> Result<Checked, StoreError> {
        let unknown = matches!(order.state.payment, PaymentState::Settling | PaymentState::Unresolved);
        if !order.is_settled() && order.is_leased(self.clock.now()) {
            return Ok(Checked { order, on_chain: None, finding: Finding::Busy });
        }
        let asked = if unknown && order.amount().is_zero() {
            // Nothing was charged: it is settled as soon as that is recorded.
            let (network, payer) = (order.terms.option.network.clone(), order.payer.to_string());
            Ok(Evidence::Settled(Settlement::of_nothing(network, payer)))
        } else {
            self.ask(&order).await
        };
        let evidence = match asked {
            Ok(evidence) => evidence,
            Err(why) => {
                return Ok(Checked { order, on_chain: None, finding: Finding::Unanswered { why } });
            }
        };
        if unknown {
            return self.resolve(order, evidence).await;
        }
        let (on_chain, finding) = compared(&order, evidence);
        Ok(Checked { order, on_chain, finding })
    }

    async fn ask(&self, order: &Order) -> Result<Evidence, String> {
        let network = &order.terms.option.network;
        let of = |wanted: Option<&NetworkId>| self.witnesses.iter().find(|(of, _)| of.as_ref() == wanted);
        let (_, witness) = of(Some(network))
            .or_else(|| of(None))
            .ok_or_else(|| format!("no node for {network} was named"))?;
        let transfer = Transfer::from(order);
        match witness.evidence(&transfer).await {
            Ok(Evidence::Settled(settlement)) => match transfer.contradiction(&settlement) {
                None => Ok(Evidence::Settled(settlement)),
                Some(what) => Err(format!("the node shows a transfer with another {what}")),
            },
            Ok(evidence) => Ok(evidence),
            Err(VerifyError::Unavailable(error)) => Err(error.to_string()),
            Err(error) => Err(format!("the order cannot be looked for: {error}")),
        }
    }

    /// Records what is known now of an order whose outcome was unknown.
    async fn resolve(&self, order: Order, evidence: Evidence) -> Result<Checked, StoreError> {
        let (event, on_chain, finding) = match evidence {
            Evidence::Settled(settlement) => {
                let event = Event::SettleOk { settlement: Arc::new(settlement.clone()) };
                (event, Some(settlement), Finding::Settled)
            }
            Evidence::Dead(reason) => {
                let reason = reason.code().to_owned();
                let event = Event::SettleFailed {
                    reason: reason.as_str().into(),
                    dead: true,
                    transaction: order.transaction.clone(),
                };
                (event, None, Finding::Failed { reason })
            }
            _ => return Ok(Checked { order, on_chain: None, finding: Finding::Open }),
        };
        if !self.records {
            return Ok(Checked { order, on_chain, finding });
        }
        let now = self.clock.now();
        let (lease, order) = match self.store.open(&taken::request(&order), now).await? {
            Opened::New(lease, order) | Opened::Resumed(lease, order) => (lease, order),
            // Somebody was faster, or its response is out and its worker settles it.
            Opened::Held(order) => return Ok(Checked { order, on_chain, finding: Finding::Busy }),
        };
        let (order, finding) = match self.store.advance(&lease, &event, now).await {
            Ok(order) => (order, finding),
            Err(StoreError::TransferTaken) => {
                let transaction = on_chain.as_ref().map(|paid| paid.transaction.clone()).unwrap_or_default();
                (order, Finding::TransferTaken { transaction })
            }
            // It went on between the look and the claim.
            Err(StoreError::Illegal(_)) => (order, Finding::Busy),
            Err(error) => return Err(error),
        };
        if order.leased_until.is_none() {
            return Ok(Checked { order, on_chain, finding });
        }
        // Paid, and still owed: its payer, or the worker's report, comes next.
        let order = self.store.advance(&lease, &Event::Released, now).await?;
        Ok(Checked { order, on_chain, finding })
    }
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks: Vec<_> = self.witnesses.iter().map(|(network, _)| network).collect();
        f.debug_struct("Reconciler").field("witnesses", &networks).finish_non_exhaustive()
    }
}

/// What evidence means for an order whose outcome is known.
fn compared(order: &Order, evidence: Evidence) -> (Option<Settlement>, Finding) {
    match (order.settlement.as_deref(), evidence) {
        (Some(ours), Evidence::Settled(paid)) if ours.transaction.eq_ignore_ascii_case(&paid.transaction) => {
            (Some(paid), Finding::Agrees)
        }
        (Some(_), Evidence::Settled(paid)) => {
            let transaction = paid.transaction.clone();
            (Some(paid), Finding::Moved { transaction })
        }
        (None, Evidence::Settled(paid)) => {
            let transaction = paid.transaction.clone();
            (Some(paid), Finding::Unrecorded { transaction })
        }
        (Some(ours), _) if ours.amount.is_zero() => (None, Finding::Agrees),
        (Some(_), _) => (None, Finding::Gone),
        (None, _) => (None, Finding::Agrees),
    }
}

#[cfg(test)]
mod tests;
