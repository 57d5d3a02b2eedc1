//! What rides on a response, and tells whether it arrived.

use super::hold::{Hold, IfDropped};
use crate::order::Event;

/// Goes along with the body of a paid response.
///
/// Told that the body was handed over in full, it records the delivery; dropped before, the response counts as lost and
/// its payer may have it again without paying.
#[derive(Debug, Default)]
#[must_use = "dropping a guard counts its response as lost"]
pub struct DeliveryGuard {
    hold: Option<Hold>,
}

impl DeliveryGuard {
    /// For a response that nobody is owed.
    pub(super) const fn nothing_owed() -> Self {
        Self { hold: None }
    }

    pub(super) fn owed(mut hold: Hold) -> Self {
        hold.if_dropped(IfDropped::Undelivered);
        Self { hold: Some(hold) }
    }

    /// The body was handed to the transport in full. Later calls do nothing.
    pub fn delivered(&mut self) {
        if let Some(hold) = self.hold.take() {
            hold.report(Event::Delivered);
        }
    }
}
