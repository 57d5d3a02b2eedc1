//! Names of keys. Whatever belongs to one payer is in one of 64 parts, and a part is in one hash slot.

use std::ops::Range;

use x402_core::{
    order::{Order, OrderId},
    scheme::{EvmAddress, PaymentKey},
};

#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) const fn new(prefix: String) -> Self {
        Self { prefix }
    }

    pub(super) fn row(&self, key: &PaymentKey) -> String {
        self.of(key.shard(), &format!("o:{key}"))
    }

    pub(super) fn response(&self, key: &PaymentKey) -> String {
        self.of(key.shard(), &format!("r:{key}"))
    }

    pub(super) fn payment(&self, key: &PaymentKey) -> String {
        self.of(key.shard(), &format!("p:{key}"))
    }

    pub(super) fn history(&self, key: &PaymentKey) -> String {
        self.of(key.shard(), &format!("h:{key}"))
    }

    /// Leads from an order's name, in the part of its payment, to its payment.
    pub(super) fn id(&self, part: u8, id: OrderId) -> String {
        self.of(part, &format!("i:{id}"))
    }

    /// Leads from the payer's own name for a payment to the payment. Programs do not agree on the case of addresses.
    pub(super) fn name(&self, order: &Order) -> Option<String> {
        let id = order.payment_id.as_ref()?;
        let name = format!("n:{}:{}", order.payer.to_ascii_lowercase(), id.as_str());
        Some(self.of(order.key.shard(), &name))
    }

    /// Payments by the second in which their orders are due.
    pub(super) fn due(&self, part: u8) -> String {
        self.of(part, "due")
    }

    /// Payments by [position](super::position).
    pub(super) fn made(&self, part: u8) -> String {
        self.of(part, "made")
    }

    /// Payments by the millisecond in which their rows expire.
    pub(super) fn expires(&self, part: u8) -> String {
        self.of(part, "expires")
    }

    /// Payers by the payments that owe their settlement.
    pub(super) fn owed(&self, part: u8) -> String {
        self.of(part, "owed")
    }

    /// Payers with the payments that owe their settlement, in order of payers.
    pub(super) fn owers(&self, part: u8) -> String {
        self.of(part, "owers")
    }

    /// Written to find out whether a part can be.
    pub(super) fn ping(&self, part: u8) -> String {
        self.of(part, "ping")
    }

    /// Written and removed at the start.
    pub(super) fn probe(&self) -> String {
        self.of(0, "probe")
    }

    /// Says which version of the store writes here.
    pub(super) fn format(&self) -> String {
        self.of(0, "format")
    }

    /// The first five keys of every script.
    pub(super) fn indices(&self, part: u8) -> Vec<String> {
        vec![self.due(part), self.made(part), self.expires(part), self.owed(part), self.owers(part)]
    }

    fn of(&self, part: u8, what: &str) -> String {
        format!("{}:{{{part:02}}}:{what}", self.prefix)
    }
}

/// The parts in which orders of a payer may be: one where its text is an EVM address, else all.
pub(super) fn parts_of(payer: &str) -> Range<u8> {
    match payer.parse::<EvmAddress>() {
        Ok(address) => {
            let part = PaymentKey::of_payer(address.as_bytes(), [0; 32]).shard();
            part..part + 1
        }
        Err(_) => 0..PARTS,
    }
}

pub(super) const PARTS: u8 = 64;
