//! One of several facilitators, and what is known of it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    facilitator::{Facilitator, Payment, VerifyError, supported::contradicts},
    wire::facilitator::SupportedResponse,
};

/// A facilitator, and what it said that it supports.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) facilitator: Arc<dyn Facilitator>,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    supported: Option<Arc<SupportedResponse>>,
    asked: Option<Instant>,
}

/// Whether a facilitator settles a payment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Support {
    /// It lists such payments.
    Listed,
    /// It has not said yet.
    Unknown,
    /// It does not list them, or they were made for another one.
    No,
}

impl Member {
    pub(super) fn new(facilitator: Arc<dyn Facilitator>) -> Self {
        Self { facilitator, known: Arc::default() }
    }

    /// Asks what it supports, and remembers it.
    pub(super) async fn learn(&self) -> Result<Arc<SupportedResponse>, VerifyError> {
        self.known().asked = Some(Instant::now());
        let supported = Arc::new(self.facilitator.supported().await?);
        self.known().supported = Some(Arc::clone(&supported));
        Ok(supported)
    }

    /// Whether it settles this payment, as far as it is known: a payment does not wait for the question.
    pub(super) fn supports(&self, payment: &Payment) -> Support {
        let (supported, due) = {
            let mut known = self.known();
            let since = known.asked.map(|asked| asked.elapsed());
            let due = is_due(known.supported.is_some(), since);
            if due {
                known.asked = Some(Instant::now());
            }
            (known.supported.clone(), due)
        };
        if due {
            let member = self.clone();
            tokio::spawn(async move {
                if let Err(error) = member.learn().await {
                    tracing::warn!(%error, "facilitator did not say what it supports");
                }
            });
        }
        supported.map_or(Support::Unknown, |supported| support(&supported, payment))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn support(supported: &SupportedResponse, payment: &Payment) -> Support {
    let option = &payment.option;
    match supported.kind(payment.version(), &option.scheme, &option.network) {
        Some(kind) if !contradicts(kind, &option.extra) => Support::Listed,
        _ => Support::No,
    }
}

/// Whether to ask again: soon where nothing is known, now and then where something is.
fn is_due(known: bool, since: Option<Duration>) -> bool {
    since.is_none_or(|since| since >= if known { REFRESH } else { RETRY })
}

/// Who may be asked, in order: those that list the payment, then those of which nothing is known.
pub(super) fn order(supports: &[Support]) -> Vec<usize> {
    let with = |wanted| (0..supports.len()).filter(move |index| supports[*index] == wanted);
    with(Support::Listed).chain(with(Support::Unknown)).collect()
}

const REFRESH: Duration = Duration::from_secs(5 * 60);
const RETRY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::{Support::*, *};

    #[test]
    fn who_lists_a_payment_comes_before_who_may() {
        for (supports, wanted) in [
            (&[Listed, Listed][..], &[0, 1][..]),
            (&[Unknown, Listed], &[1, 0]),
            (&[No, Unknown, Listed, Listed], &[2, 3, 1]),
            (&[Unknown, Unknown], &[0, 1]),
            (&[No, No], &[]),
            (&[], &[]),
        ] {
            assert_eq!(order(supports), wanted, "{supports:?}");
        }
    }

    #[test]
    fn it_is_asked_soon_until_it_answers_and_then_now_and_then() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (known, since, due) in [
            (false, None, true),
            (false, seconds(9), false),
            (false, seconds(10), true),
            (true, seconds(299), false),
            (true, seconds(300), true),
        ] {
            assert_eq!(is_due(known, since), due, "{known} {since:?}");
        }
    }
}
