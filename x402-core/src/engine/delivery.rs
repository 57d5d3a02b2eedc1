//! What rides on a response, and tells whether it arrived.

use super::hold::{Hold, IfDropped};
use crate::{
    charge::Charge,
    order::{Event, StoreError},
};

/// Goes along with the body of a paid response.
///
/// Told that the body was handed over in full, it records the delivery; dropped before, the response counts as lost and
/// its payer may have it again without paying.
#[derive(Debug, Default)]
#[must_use = "dropping a guard counts its response as lost"]
pub struct DeliveryGuard {
    hold: Option<Hold>,
    /// What the loss of the response means once it is on its way.
    if_cut: Option<IfDropped>,
    /// What the response is charged by, if that is settled when it is over.
    charge: Option<Charge>,
}

impl DeliveryGuard {
    /// For a response that nobody is owed.
    pub(super) const fn nothing_owed() -> Self {
        Self { hold: None, if_cut: None, charge: None }
    }

    /// For a response that its payer is owed until it was delivered.
    pub(super) fn owed(mut hold: Hold) -> Self {
        hold.if_dropped(IfDropped::Undelivered);
        Self { hold: Some(hold), if_cut: None, charge: None }
    }

    /// For a response that its payer is owed until it leaves; what its loss means from then on is another matter.
    pub(super) fn owed_until_it_leaves(hold: Hold, if_cut: IfDropped) -> Self {
        Self { if_cut: Some(if_cut), ..Self::owed(hold) }
    }

    /// For a response that is charged for what was used of it.
    pub(super) const fn metered(hold: Hold, charge: Charge) -> Self {
        Self { hold: Some(hold), if_cut: None, charge: Some(charge) }
    }

    /// The response is handed to its connection, which was there to take it.
    pub(super) fn leaves(&mut self) {
        if let (Some(hold), Some(if_cut)) = (&mut self.hold, self.if_cut) {
            hold.if_dropped(if_cut);
        }
    }

    /// Whether the response is still ours to send, by the clock alone.
    pub(super) fn is_sure(&self) -> bool {
        self.hold.as_ref().is_none_or(Hold::is_sure)
    }

    /// Makes sure that it is.
    pub(super) async fn make_sure(&self) -> Result<(), StoreError> {
        match &self.hold {
            Some(hold) => hold.make_sure().await,
            None => Ok(()),
        }
    }

    /// The body was handed to the transport in full. Later calls do nothing.
    pub fn delivered(&mut self) {
        if let Some(charge) = self.charge.take() {
            charge.complete();
        }
        self.ended();
    }

    /// Nothing more is sent, and it is not all of a body: the request or the status has none, or it ended with an error of
    /// its own. As [`delivered`](Self::delivered), but a stream is charged what was said of it, and nothing if nothing was.
    pub fn ended(&mut self) {
        self.charge = None;
        if let Some(hold) = self.hold.take() {
            hold.report(Event::Delivered);
        }
    }
}
