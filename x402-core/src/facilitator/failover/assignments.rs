//! Who was handed which payment for settlement. Pure: the present is an argument.

use std::{collections::HashMap, time::Duration};

use crate::{scheme::PaymentKey, time::UnixSeconds};

/// Payments that were handed to a facilitator, for as long as they could be settled.
#[derive(Debug)]
pub(super) struct Assignments {
    entries: HashMap<PaymentKey, Entry>,
    capacity: usize,
    /// How many entries there may be before those that are over are looked for.
    sweep_at: usize,
}

#[derive(Debug)]
struct Entry {
    member: usize,
    /// Calls under way.
    calls: usize,
    /// Whether the money may have moved, or did.
    sent: bool,
    until: UnixSeconds,
}

/// How a call to settle ended, for what it says of sending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// The money moved, or may have.
    Sent,
    /// The facilitator refused: this call moved nothing.
    Refused,
    /// The call did not reach it.
    NotSent,
}

/// There is no room for another payment whose outcome is not known.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Full;

impl Assignments {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), capacity, sweep_at: SWEEP_AT }
    }

    /// Who has the payment.
    pub(super) fn member(&self, key: &PaymentKey, now: UnixSeconds) -> Option<usize> {
        self.entries.get(key).filter(|entry| !entry.is_over(now)).map(|entry| entry.member)
    }

    /// Hands a payment to whoever has it, or else to `member`; says to whom.
    pub(super) fn hand_over(
        &mut self,
        key: PaymentKey,
        member: usize,
        valid_before: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<usize, Full> {
        match self.entries.get_mut(&key) {
            Some(entry) if !entry.is_over(now) => {
                entry.calls += 1;
                return Ok(entry.member);
            }
            Some(_) => drop(self.entries.remove(&key)),
            None => {}
        }
        if self.entries.len() >= self.sweep_at.min(self.capacity) {
            self.entries.retain(|_, entry| !entry.is_over(now));
            self.sweep_at = SWEEP_AT.max(self.entries.len() * 2);
        }
        if self.entries.len() >= self.capacity {
            return Err(Full);
        }
        let until = valid_before.min(now.after(LONGEST)).after(MARGIN);
        self.entries.insert(key, Entry { member, calls: 1, sent: false, until });
        Ok(member)
    }

    /// A call is over. Whether the payment may be handed to another one.
    pub(super) fn ended(&mut self, key: &PaymentKey, ended: Ended) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return true };
        entry.calls = entry.calls.saturating_sub(1);
        entry.sent |= ended == Ended::Sent;
        let free = !entry.sent && entry.calls == 0;
        if free {
            self.entries.remove(key);
        }
        free
    }
}

impl Entry {
    const fn is_over(&self, now: UnixSeconds) -> bool {
        self.calls == 0 && self.until.get() <= now.get()
    }
}

/// Until here an authorization that ends later is kept: longer than the longest one that an engine takes.
const LONGEST: Duration = Duration::from_secs(25 * 60 * 60);
/// How long past its end: what was sent in its last second may still be mined.
const MARGIN: Duration = Duration::from_secs(10 * 60);
const SWEEP_AT: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_800_000_000);
    const SOON: UnixSeconds = UnixSeconds::new(1_800_000_300);

    fn key(number: u32) -> PaymentKey {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        PaymentKey::from_bytes(bytes)
    }

    #[test]
    fn a_payment_stays_where_it_was_sent() {
        for (ended, free) in [(Ended::Sent, false), (Ended::Refused, true), (Ended::NotSent, true)] {
            let mut assignments = Assignments::new(10);
            assert_eq!(assignments.hand_over(key(1), 0, SOON, NOW), Ok(0));
            assert_eq!(assignments.ended(&key(1), ended), free, "{ended:?}");
            let next = if free { 1 } else { 0 };
            assert_eq!(assignments.hand_over(key(1), 1, SOON, NOW), Ok(next), "{ended:?}");
        }
    }

    #[test]
    fn what_was_sent_once_stays_whatever_comes_later() {
        let mut assignments = Assignments::new(10);
        assignments.hand_over(key(1), 0, SOON, NOW).unwrap();
        assignments.ended(&key(1), Ended::Sent);
        for later in [Ended::NotSent, Ended::Refused, Ended::Sent] {
            assert_eq!(assignments.hand_over(key(1), 1, SOON, NOW), Ok(0));
            assert!(!assignments.ended(&key(1), later), "{later:?}");
        }
    }

    #[test]
    fn while_a_call_is_under_way_nobody_else_gets_the_payment() {
        let mut assignments = Assignments::new(10);
        assignments.hand_over(key(1), 0, SOON, NOW).unwrap();
        assert_eq!(assignments.hand_over(key(1), 1, SOON, NOW), Ok(0));
        assert!(!assignments.ended(&key(1), Ended::NotSent), "the other call may be sending");
        assert_eq!(assignments.hand_over(key(1), 1, SOON, NOW), Ok(0));
        assert!(!assignments.ended(&key(1), Ended::Refused));
        assert!(assignments.ended(&key(1), Ended::NotSent), "both are over, and nothing was sent");
        assert_eq!(assignments.member(&key(1), NOW), None);
    }

    #[test]
    fn it_is_remembered_past_its_end_and_then_forgotten() {
        let mut assignments = Assignments::new(2);
        for number in [1, 2] {
            assignments.hand_over(key(number), 0, SOON, NOW).unwrap();
            assignments.ended(&key(number), Ended::Sent);
        }
        let margin = UnixSeconds::new(SOON.get() + 599);
        assert_eq!(assignments.hand_over(key(3), 1, SOON, margin), Err(Full));
        assert_eq!(assignments.hand_over(key(1), 1, SOON, margin), Ok(0), "what is known goes on");
        assert!(!assignments.ended(&key(1), Ended::NotSent));
        let over = UnixSeconds::new(SOON.get() + 600);
        assert_eq!(assignments.hand_over(key(3), 1, UnixSeconds::MAX, over), Ok(1));
        assignments.ended(&key(3), Ended::Sent);
        assert_eq!(assignments.member(&key(1), over), None);
        let days = over.after(Duration::from_secs(26 * 60 * 60));
        for number in [4, 5] {
            assignments.hand_over(key(number), 0, SOON, days).unwrap();
        }
        assert_eq!(assignments.member(&key(3), days), None, "endless authorizations are no endless memory");
    }

    proptest! {
        #[test]
        fn no_payment_is_with_two_while_it_may_have_been_sent(
            steps in prop::collection::vec((0_u32..4, 0_usize..3, 0_u8..3), 1..200),
        ) {
            let mut assignments = Assignments::new(8);
            let mut sent_by: HashMap<u32, usize> = HashMap::new();
            for (number, member, ended) in steps {
                let at = assignments.hand_over(key(number), member, SOON, NOW).unwrap();
                prop_assert!(sent_by.get(&number).is_none_or(|before| *before == at));
                let ended = [Ended::Sent, Ended::Refused, Ended::NotSent][usize::from(ended)];
                if ended == Ended::Sent {
                    sent_by.insert(number, at);
                }
                prop_assert_eq!(assignments.ended(&key(number), ended), !sent_by.contains_key(&number));
            }
        }
    }
}
