//! An order, packed: most claims have neither settlement nor identifier, and their payers are EVM addresses.

use std::sync::Arc;

use crate::{
    facilitator::Settlement,
    order::{Order, OrderId, OrderState, OwnerToken, PaymentId, RequestFingerprint, Terms},
    scheme::PaymentKey,
    time::UnixSeconds,
};

/// An order in 200 bytes, plus a box where it has more to say.
pub(super) struct Record {
    terms: Arc<Terms>,
    rare: Option<Box<Rare>>,
    key: PaymentKey,
    id: OrderId,
    owner: OwnerToken,
    fingerprint: RequestFingerprint,
    digest: [u8; 16],
    nonce: [u8; 32],
    fence: u32,
    leased_until: Seconds,
    created_at: Seconds,
    updated_at: Seconds,
    keep_until: Seconds,
    valid_before: Seconds,
    /// The time of the queue's entry for this record; other entries are out of date.
    pub(super) queued: Seconds,
    payer: Option<PackedPayer>,
    state: OrderState,
    dead: bool,
    response_kept: bool,
    noticed: bool,
}

#[derive(Default)]
struct Rare {
    payment_id: Option<PaymentId>,
    payer: Option<Arc<str>>,
    settlement: Option<Arc<Settlement>>,
    transaction: Option<Arc<str>>,
    reason: Option<Arc<str>>,
}

impl Record {
    pub(super) fn new(order: Order, owner: OwnerToken) -> Self {
        let payer = PackedPayer::new(&order.payer);
        let rare = Rare {
            payment_id: order.payment_id,
            payer: payer.is_none().then_some(order.payer),
            settlement: order.settlement,
            transaction: order.transaction,
            reason: order.reason,
        };
        let mut record = Self {
            terms: order.terms,
            rare: rare.boxed(),
            key: order.key,
            id: order.id,
            owner,
            fingerprint: order.fingerprint,
            digest: order.digest,
            nonce: order.nonce,
            valid_before: Seconds::new(order.valid_before),
            fence: u32::try_from(order.fence).expect("an order changes hands less than 2^32 times"),
            leased_until: order.leased_until.map_or(Seconds::NEVER, Seconds::of_lease),
            created_at: Seconds::new(order.created_at),
            updated_at: Seconds::new(order.updated_at),
            keep_until: Seconds::new(order.keep_until),
            queued: Seconds::NEVER,
            payer,
            state: order.state,
            dead: order.dead,
            response_kept: order.response_kept,
            noticed: order.noticed,
        };
        record.queued = record.due();
        record
    }

    pub(super) fn order(&self) -> Order {
        let rare = self.rare.as_deref();
        let payer = match &self.payer {
            Some(payer) => payer.text(),
            None => rare.and_then(|rare| rare.payer.clone()).expect("a payer is packed or written out"),
        };
        Order {
            id: self.id,
            key: self.key,
            payment_id: rare.and_then(|rare| rare.payment_id.clone()),
            fingerprint: self.fingerprint,
            digest: self.digest,
            nonce: self.nonce,
            valid_before: self.valid_before.get(),
            provenance: None,
            terms: Arc::clone(&self.terms),
            payer,
            state: self.state,
            settlement: rare.and_then(|rare| rare.settlement.clone()),
            transaction: rare.and_then(|rare| rare.transaction.clone()),
            reason: rare.and_then(|rare| rare.reason.clone()),
            dead: self.dead,
            response_kept: self.response_kept,
            response: None,
            noticed: self.noticed,
            leased_until: (self.leased_until != Seconds::NEVER).then(|| self.leased_until.get()),
            fence: u64::from(self.fence),
            created_at: self.created_at.get(),
            updated_at: self.updated_at.get(),
            keep_until: self.keep_until.get(),
        }
    }

    pub(super) const fn key(&self) -> &PaymentKey {
        &self.key
    }

    pub(super) const fn owner(&self) -> OwnerToken {
        self.owner
    }

    pub(super) fn has_payment_id(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.payment_id.is_some())
    }

    /// From when on the order may be forgotten: nobody works on it, and it need not be remembered.
    pub(super) fn due(&self) -> Seconds {
        self.keep_until.max(self.leased_until)
    }

    /// Whether the order is as good as forgotten.
    pub(super) fn is_over(&self, now: UnixSeconds) -> bool {
        self.due().get() <= now
    }
}

impl Rare {
    fn boxed(self) -> Option<Box<Self>> {
        let empty = matches!(
            self,
            Self { payment_id: None, payer: None, settlement: None, transaction: None, reason: None }
        );
        (!empty).then(|| Box::new(self))
    }
}

/// Seconds since the epoch in four bytes. Times after the year 2105 read as the end of time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Seconds(u32);

impl Seconds {
    /// No time at all.
    const NEVER: Self = Self(0);

    fn new(time: UnixSeconds) -> Self {
        Self(u32::try_from(time.get()).unwrap_or(u32::MAX))
    }

    /// A lease until the epoch is one that lapsed, not one that was released.
    fn of_lease(until: UnixSeconds) -> Self {
        Self::new(until).max(Self(1))
    }

    pub(super) const fn get(self) -> UnixSeconds {
        if self.0 == u32::MAX { UnixSeconds::MAX } else { UnixSeconds::new(self.0 as u64) }
    }
}

/// `0x` and 40 hexadecimal digits, with the case of each: 25 bytes instead of an allocation.
struct PackedPayer {
    address: [u8; 20],
    upper: [u8; 5],
}

impl PackedPayer {
    fn new(text: &str) -> Option<Self> {
        let digits: &[u8; 40] = text.strip_prefix("0x")?.as_bytes().try_into().ok()?;
        let mut packed = Self { address: [0; 20], upper: [0; 5] };
        for (i, digit) in digits.iter().enumerate() {
            let value = char::from(*digit).to_digit(16)?;
            let nibble = u8::try_from(value).expect("a hexadecimal digit is less than 16");
            packed.address[i / 2] |= if i % 2 == 0 { nibble << 4 } else { nibble };
            packed.upper[i / 8] |= u8::from(digit.is_ascii_uppercase()) << (i % 8);
        }
        Some(packed)
    }

    fn text(&self) -> Arc<str> {
        let mut text = [0_u8; 42];
        text[..2].copy_from_slice(b"0x");
        for (i, digit) in text[2..].iter_mut().enumerate() {
            let byte = self.address[i / 2];
            let nibble = if i % 2 == 0 { byte >> 4 } else { byte & 15 };
            *digit = b"0123456789abcdef"[usize::from(nibble)];
            if self.upper[i / 8] >> (i % 8) & 1 == 1 {
                digit.make_ascii_uppercase();
            }
        }
        Arc::from(std::str::from_utf8(&text).expect("hexadecimal digits are ASCII"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_has_200_bytes() {
        assert_eq!(size_of::<Record>(), 200);
    }

    proptest! {
        #[test]
        fn an_address_is_unpacked_as_it_was_written(text in "0x[0-9a-fA-F]{40}") {
            prop_assert_eq!(&*PackedPayer::new(&text).unwrap().text(), text.as_str());
        }

        #[test]
        fn only_addresses_are_packed(text in "(0x)?[0-9a-zé]{38,42}") {
            if let Some(packed) = PackedPayer::new(&text) {
                prop_assert_eq!(&*packed.text(), text.as_str());
            }
        }
    }
}
