//! An order, packed: most claims have neither settlement nor identifier, and their payers are EVM addresses.

use std::sync::Arc;

use super::payer::{self, Case};
use crate::{
    facilitator::Settlement,
    order::{
        DeliveryState, Lease, Order, OrderId, OrderState, OwnerToken, PaymentId, PaymentState,
        RequestFingerprint, Terms, due::Standing,
    },
    price::AtomicAmount,
    scheme::{EvmAddress, PaymentKey},
    time::UnixSeconds,
};

/// An order in 184 bytes, plus a box where it has more to say.
pub(super) struct Record {
    terms: Arc<Terms>,
    rare: Option<Box<Rare>>,
    key: PaymentKey,
    id: OrderId,
    fingerprint: RequestFingerprint,
    digest: [u8; 16],
    nonce: [u8; 32],
    /// Half a token is enough to tell holders apart.
    owner: [u8; 8],
    payer: EvmAddress,
    fence: u32,
    leased_until: Seconds,
    created_at: Seconds,
    updated_at: Seconds,
    keep_until: Seconds,
    valid_before: Seconds,
    payment: PaymentState,
    delivery: DeliveryState,
    attempts: u8,
    flags: Flags,
}

/// What few orders have. A box of it is there only where something is in it.
#[derive(Default)]
struct Rare {
    payment_id: Option<PaymentId>,
    /// Where it is not packed.
    payer: Option<Arc<str>>,
    charge: Option<AtomicAmount>,
    settlement: Option<Arc<Settlement>>,
    transaction: Option<Arc<str>>,
    reason: Option<Arc<str>>,
    /// Where its seconds do not fit into a record.
    valid_before: Option<UnixSeconds>,
}

impl Record {
    pub(super) fn new(order: Order, owner: OwnerToken) -> Self {
        let packed = payer::packed(&order.payer);
        let mut flags = Flags(0);
        flags.set(Flags::WRITTEN_OUT, packed.is_none());
        flags.set(Flags::CHECKSUM, matches!(packed, Some((_, Case::Checksum))));
        let mut record = Self {
            terms: Arc::clone(&order.terms),
            rare: None,
            key: order.key,
            id: order.id,
            fingerprint: order.fingerprint,
            digest: order.digest,
            nonce: order.nonce,
            owner: half(owner),
            payer: packed.map_or(EvmAddress::ZERO, |(address, _)| address),
            fence: 0,
            leased_until: Seconds::NEVER,
            created_at: Seconds::new(order.created_at),
            updated_at: Seconds::NEVER,
            keep_until: Seconds::NEVER,
            valid_before: Seconds::new(order.valid_before),
            payment: order.state.payment,
            delivery: order.state.delivery,
            attempts: 0,
            flags,
        };
        record.write(order, owner);
        record
    }

    /// Writes what may change of an order: everything but what it was opened with.
    pub(super) fn write(&mut self, order: Order, owner: OwnerToken) {
        let written_out = self.flags.has(Flags::WRITTEN_OUT);
        let rare = Rare {
            payment_id: order.payment_id,
            payer: written_out.then_some(order.payer),
            charge: order.charge,
            settlement: order.settlement,
            transaction: order.transaction,
            reason: order.reason,
            valid_before: (self.valid_before.get() != order.valid_before).then_some(order.valid_before),
        };
        self.rare = rare.boxed();
        self.owner = half(owner);
        self.fence = u32::try_from(order.fence).expect("an order changes hands less than 2^32 times");
        self.leased_until = order.leased_until.map_or(Seconds::NEVER, Seconds::of_lease);
        self.updated_at = Seconds::new(order.updated_at);
        self.keep_until = Seconds::new(order.keep_until);
        OrderState { payment: self.payment, delivery: self.delivery, attempts: self.attempts, .. } =
            order.state;
        self.flags.set(Flags::DEFERRED, order.state.deferred);
        self.flags.set(Flags::METERED, order.state.metered);
        self.flags.set(Flags::DEAD, order.dead);
        self.flags.set(Flags::RESPONSE_KEPT, order.response_kept);
        self.flags.set(Flags::NOTICED, order.noticed);
    }

    /// The order.
    pub(super) fn order(&self) -> Order {
        let Some(rare) = self.rare.as_deref() else { return self.sketch(self.packed_payer()) };
        let payer = rare.payer.clone().unwrap_or_else(|| self.packed_payer());
        Order {
            payment_id: rare.payment_id.clone(),
            charge: rare.charge,
            settlement: rare.settlement.clone(),
            transaction: rare.transaction.clone(),
            reason: rare.reason.clone(),
            ..self.sketch(payer)
        }
    }

    /// The order with this payer, and without its identifier, charge, settlement, transaction and reason: enough to tell whether
    /// it is looked for, and made without an allocation.
    pub(super) fn sketch(&self, payer: Arc<str>) -> Order {
        Order {
            id: self.id,
            key: self.key,
            payment_id: None,
            fingerprint: self.fingerprint,
            digest: self.digest,
            nonce: self.nonce,
            valid_before: self.valid_before(),
            provenance: None,
            terms: Arc::clone(&self.terms),
            payer,
            state: self.state(),
            charge: None,
            settlement: None,
            transaction: None,
            reason: None,
            dead: self.flags.has(Flags::DEAD),
            response_kept: self.flags.has(Flags::RESPONSE_KEPT),
            response: None,
            noticed: self.flags.has(Flags::NOTICED),
            leased_until: self.leased_until(),
            fence: self.fence(),
            created_at: self.created_at.get(),
            updated_at: self.updated_at.get(),
            keep_until: self.keep_until.get(),
        }
    }

    /// What decides when a worker is to look at the order.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            state: self.state(),
            noticed: self.flags.has(Flags::NOTICED),
            valid_before: self.valid_before(),
            created_at: self.created_at.get(),
            updated_at: self.updated_at.get(),
            leased_until: self.leased_until(),
        }
    }

    pub(super) const fn key(&self) -> &PaymentKey {
        &self.key
    }

    pub(super) const fn id(&self) -> OrderId {
        self.id
    }

    pub(super) fn fence(&self) -> u64 {
        u64::from(self.fence)
    }

    /// Whether this is who holds the order, or did last.
    pub(super) fn is_held_by(&self, lease: &Lease) -> bool {
        self.owner == half(lease.owner)
    }

    /// Whether the order may be this payer's: if not, its text need not be made to find out.
    pub(super) fn may_be_of(&self, payer: Option<EvmAddress>) -> bool {
        self.flags.has(Flags::WRITTEN_OUT) || payer == Some(self.payer)
    }

    pub(super) fn has_payment_id(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.payment_id.is_some())
    }

    /// Whether its response goes out, or went out, before its money moves.
    pub(super) const fn is_deferred(&self) -> bool {
        self.flags.has(Flags::DEFERRED)
    }

    /// Whether the order is as good as forgotten: nobody works on it, and it need not be remembered.
    pub(super) fn is_over(&self, now: UnixSeconds) -> bool {
        self.keep_until.max(self.leased_until).get() <= now
    }

    fn leased_until(&self) -> Option<UnixSeconds> {
        (self.leased_until != Seconds::NEVER).then(|| self.leased_until.get())
    }

    fn valid_before(&self) -> UnixSeconds {
        let read = self.valid_before.get();
        if read < UnixSeconds::MAX {
            return read;
        }
        self.rare.as_deref().and_then(|rare| rare.valid_before).unwrap_or(read)
    }

    const fn state(&self) -> OrderState {
        let (payment, delivery, attempts) = (self.payment, self.delivery, self.attempts);
        let metered = self.flags.has(Flags::METERED);
        OrderState { payment, delivery, attempts, deferred: self.is_deferred(), metered }
    }

    fn packed_payer(&self) -> Arc<str> {
        let case = if self.flags.has(Flags::CHECKSUM) { Case::Checksum } else { Case::Lower };
        payer::unpacked(self.payer, case)
    }
}

impl Rare {
    fn boxed(self) -> Option<Box<Self>> {
        let empty = matches!(
            self,
            Self {
                payment_id: None,
                payer: None,
                charge: None,
                settlement: None,
                transaction: None,
                reason: None,
                valid_before: None
            }
        );
        (!empty).then(|| Box::new(self))
    }
}

/// Seconds since the epoch in four bytes. Times after the year 2105 read as the end of time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Seconds(u32);

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

    const fn get(self) -> UnixSeconds {
        if self.0 == u32::MAX { UnixSeconds::MAX } else { UnixSeconds::new(self.0 as u64) }
    }
}

/// What is true of an order, a bit each.
#[derive(Clone, Copy)]
struct Flags(u8);

impl Flags {
    const DEFERRED: u8 = 1;
    const DEAD: u8 = 2;
    const RESPONSE_KEPT: u8 = 4;
    const NOTICED: u8 = 8;
    /// Its payer is no EVM address, or written as nobody writes one.
    const WRITTEN_OUT: u8 = 16;
    /// Its payer is written with a checksum.
    const CHECKSUM: u8 = 32;
    const METERED: u8 = 64;

    const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    const fn set(&mut self, flag: u8, on: bool) {
        self.0 = if on { self.0 | flag } else { self.0 & !flag };
    }
}

fn half(owner: OwnerToken) -> [u8; 8] {
    *owner.as_bytes().first_chunk().expect("16 bytes have 8")
}

#[cfg(test)]
mod tests;
