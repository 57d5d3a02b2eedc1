//! The chain: nonces, transfers, transactions on their way.

use std::collections::BTreeMap;

use tokio::time::Instant;
use x402_core::{
    error::RejectReason,
    facilitator::{Evidence, Payment, Settlement, Transfer},
    scheme::PaymentKey,
    time::UnixSeconds,
};

use crate::world::World;

/// What the chain knows of each authorization.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    notes: BTreeMap<[u8; 32], Note>,
    transactions: u64,
}

/// One authorization.
#[derive(Debug, Default)]
pub(crate) struct Note {
    used: Option<(Instant, Use)>,
    /// Who may still send it or have it mined: calls to settle, transactions on their way.
    hands: u32,
    /// When it was first sent to be settled.
    pub(crate) first_sent: Option<Instant>,
    /// Whether somebody was told that it cannot be paid, which was not so.
    refused: bool,
}

impl Chain {
    pub(crate) fn refuse(&mut self, key: &[u8; 32]) {
        self.notes.entry(*key).or_default().refused = true;
    }

    pub(crate) fn was_refused(&self, key: &[u8; 32]) -> bool {
        self.notes.get(key).is_some_and(|note| note.refused)
    }
}

#[derive(Clone, Debug)]
enum Use {
    Paid {
        settlement: Settlement,
        by: Sender,
    },
    /// Its payer used or cancelled it.
    Elsewhere,
}

/// Who sent a transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sender {
    Facilitator,
    Stranger,
}

impl Chain {
    pub(crate) fn note(&mut self, key: &PaymentKey) -> &mut Note {
        self.notes.entry(*key.as_bytes()).or_default()
    }

    /// A name for a transaction.
    pub(crate) fn transaction(&mut self) -> String {
        self.transactions += 1;
        format!("0x{:064x}", self.transactions)
    }

    /// Puts a transaction into a block at `now`.
    pub(crate) fn mine(
        &mut self,
        payment: &Payment,
        transaction: &str,
        by: Sender,
        now: UnixSeconds,
    ) -> Result<Settlement, RejectReason> {
        let authorization = &payment.authorization;
        let note = self.note(&authorization.key);
        if note.used.is_some() {
            return Err(RejectReason::NonceAlreadyUsed);
        }
        let valid_before = authorization.valid_before;
        if now >= valid_before {
            return Err(RejectReason::Expired { valid_before, now });
        }
        let settlement = Settlement::new(
            transaction.to_owned(),
            payment.option.network.clone(),
            authorization.payer.clone(),
            authorization.amount,
        );
        note.used = Some((Instant::now(), Use::Paid { settlement: settlement.clone(), by }));
        Ok(settlement)
    }

    /// Its payer uses the nonce for something else.
    pub(crate) fn spend_elsewhere(&mut self, key: &PaymentKey) {
        self.note(key).used.get_or_insert_with(|| (Instant::now(), Use::Elsewhere));
    }

    pub(crate) fn is_used(&mut self, key: &PaymentKey) -> bool {
        self.note(key).used.is_some()
    }

    /// The transfer to us, and who sent it.
    pub(crate) fn paid(&self, key: &[u8; 32]) -> Option<(&Settlement, Sender)> {
        match &self.notes.get(key)?.used {
            Some((_, Use::Paid { settlement, by })) => Some((settlement, *by)),
            _ => None,
        }
    }

    /// What a node shows that is behind.
    pub(crate) fn evidence(&mut self, transfer: &Transfer, until: Instant, world: &World) -> Evidence {
        match &self.note(&transfer.key).used {
            Some((at, Use::Paid { settlement, .. })) if *at <= until => Evidence::Settled(settlement.clone()),
            Some((at, Use::Elsewhere)) if *at <= until => Evidence::Dead(RejectReason::NonceAlreadyUsed),
            _ => {
                let (valid_before, now) = (transfer.valid_before, world.seconds_at(until));
                if now >= valid_before {
                    Evidence::Dead(RejectReason::Expired { valid_before, now })
                } else {
                    Evidence::StillPossible
                }
            }
        }
    }
}

impl Note {
    /// Whether it was charged, or is in somebody's hands who may still charge it.
    pub(crate) fn may_be_charged(&self, is_over: bool) -> bool {
        match self.used {
            Some((_, Use::Paid { .. })) => true,
            Some((_, Use::Elsewhere)) => false,
            None => self.hands > 0 && !is_over,
        }
    }

    pub(crate) fn take_in_hand(&mut self) {
        self.hands += 1;
    }

    pub(crate) fn let_go(&mut self) {
        self.hands -= 1;
    }
}
