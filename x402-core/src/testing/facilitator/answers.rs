//! What a fake facilitator says, as told.

use std::collections::VecDeque;

use crate::{error::RejectReason, facilitator::Settlement};

/// What [`FakeFacilitator`](super::FakeFacilitator) says when it is asked to verify.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum VerifyAnswer {
    /// The truth.
    #[default]
    Honest,
    /// No.
    Reject(RejectReason),
    /// Nothing: it is down.
    Unavailable,
    /// Nothing until it is [released](super::FakeFacilitator::release), then the truth.
    Hang,
}

/// What [`FakeFacilitator`](super::FakeFacilitator) does when it is asked to settle.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum SettleAnswer {
    /// What it can: moves the money unless it has moved.
    #[default]
    Honest,
    /// Refuses; nothing moves.
    Reject(RejectReason),
    /// Loses the answer, after the money moved or without.
    Unresolved {
        /// Whether the money moves.
        moved: bool,
    },
    /// Says that the money moved, whether it did or not, by a receipt of its own making.
    Lie {
        /// Whether the money moves.
        moved: bool,
        /// What is told in place of the payment's true receipt.
        told: fn(&mut Settlement),
    },
    /// Nothing: it is down.
    Unavailable,
    /// Nothing until it is [released](super::FakeFacilitator::release), then what it can.
    Hang,
}

/// What [`FakeFacilitator`](super::FakeFacilitator) says when it is asked as a [`Witness`](crate::facilitator::Witness).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum EvidenceAnswer {
    /// The truth.
    #[default]
    Honest,
    /// Nothing: it is down.
    Unavailable,
}

/// The answers to one kind of question.
#[derive(Default)]
pub(super) struct Script<A> {
    pub(super) always: A,
    pub(super) next: VecDeque<A>,
    pub(super) calls: usize,
}

impl<A: Clone> Script<A> {
    pub(super) fn take(&mut self) -> A {
        self.calls += 1;
        self.next.pop_front().unwrap_or_else(|| self.always.clone())
    }
}
