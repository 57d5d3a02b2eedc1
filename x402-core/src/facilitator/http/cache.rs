//! What a facilitator said that it supports: asked for once by all who want to know, and kept for a while.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    HttpFacilitator,
    auth::FacilitatorEndpoint,
    fault::{Fault, FaultAt},
    retry_after::retry_after,
};
use crate::{
    facilitator::VerifyError,
    time::{Clock as _, SystemClock},
    wire::facilitator::SupportedResponse,
};

/// The last answer, and a question that is under way.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: Option<(Arc<SupportedResponse>, Instant)>,
    failed: Option<Instant>,
    asking: Option<watch::Receiver<Option<Outcome>>>,
}

type Outcome = Result<Arc<SupportedResponse>, Arc<FaultAt>>;

/// What to do with an answer that was kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Plan {
    /// It is good.
    Keep,
    /// It is good, and another one is to be fetched meanwhile.
    Refresh,
    /// There is none, or it is too old.
    Ask,
}

impl HttpFacilitator {
    /// What is supported, as it was told in the last five minutes; or in the last hour, while it is asked again.
    pub(super) async fn what_it_supports(&self) -> Result<SupportedResponse, VerifyError> {
        let kept = {
            let state = self.cache.state();
            let age = state.known.as_ref().map(|(_, since)| since.elapsed());
            let plan = plan(age, state.failed.map(|failed| failed.elapsed()));
            state.known.as_ref().filter(|_| plan != Plan::Ask).map(|(known, _)| (Arc::clone(known), plan))
        };
        match kept {
            Some((known, plan)) => {
                if plan == Plan::Refresh {
                    drop(self.asking());
                }
                Ok(Arc::unwrap_or_clone(known))
            }
            None => self.ask_what_it_supports().await,
        }
    }

    /// The same, asked now; whoever asks meanwhile waits for the same answer.
    pub(super) async fn ask_what_it_supports(&self) -> Result<SupportedResponse, VerifyError> {
        let mut asking = self.asking();
        let outcome = match asking.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().expect("it was waited for"),
            Err(_) => return Err(VerifyError::Unavailable("the question was given up".into())),
        };
        outcome.map(Arc::unwrap_or_clone).map_err(|fault| VerifyError::Unavailable(Box::new(fault)))
    }

    /// The question that is under way, or a new one: in a task, since it goes on when nobody waits any more.
    fn asking(&self) -> watch::Receiver<Option<Outcome>> {
        let mut state = self.cache.state();
        // A task that was shut down with its runtime has left an end that says nothing.
        if let Some(asking) = state.asking.as_ref().filter(|asking| asking.has_changed().is_ok()) {
            return asking.clone();
        }
        let (told, asking) = watch::channel(None);
        state.asking = Some(asking.clone());
        drop(state);
        let facilitator = self.clone();
        tokio::spawn(async move {
            let outcome = facilitator.ask_with_patience().await.map(Arc::new).map_err(|fault| {
                tracing::warn!(facilitator = facilitator.origin(), %fault, "facilitator did not say what it supports");
                Arc::new(FaultAt { origin: facilitator.origin().to_owned(), fault })
            });
            let mut state = facilitator.cache.state();
            state.asking = None;
            match &outcome {
                Ok(known) => (state.known, state.failed) = (Some((Arc::clone(known), Instant::now())), None),
                Err(_) => state.failed = Some(Instant::now()),
            }
            drop(state);
            told.send_replace(Some(outcome));
        });
        asking
    }

    /// Asks, and waits where it is told that it is asked too much.
    async fn ask_with_patience(&self) -> Result<SupportedResponse, Fault> {
        let mut waited = 0;
        loop {
            let answer = self.send(FacilitatorEndpoint::Supported, None, self.verify_timeout).await?;
            match answer.too_many() {
                Some(told) if waited < WAITS => sleep(wait(waited, told)).await,
                _ => return answer.result(),
            }
            waited += 1;
        }
    }
}

impl Cache {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides by the age of what is known, and by how long ago it could not be asked again.
fn plan(age: Option<Duration>, failed: Option<Duration>) -> Plan {
    match age {
        Some(age) if age < FRESH => Plan::Keep,
        Some(age) if age < STALE && failed.is_some_and(|failed| failed < AFTER_FAILURE) => Plan::Keep,
        Some(age) if age < STALE => Plan::Refresh,
        _ => Plan::Ask,
    }
}

/// How long to wait before asking again: as told, or twice as long each time.
fn wait(waited: u32, told: Option<&str>) -> Duration {
    let told = told.and_then(|told| retry_after(told, SystemClock.now()));
    told.unwrap_or(Duration::from_secs(1) * 2_u32.saturating_pow(waited)).min(LONGEST_WAIT)
}

const FRESH: Duration = Duration::from_secs(5 * 60);
const STALE: Duration = Duration::from_secs(60 * 60);
const AFTER_FAILURE: Duration = Duration::from_secs(10);
const WAITS: u32 = 2;
const LONGEST_WAIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_fresh_then_stale_then_too_old() {
        let seconds = |seconds: u64| Some(Duration::from_secs(seconds));
        for (age, failed, wanted) in [
            (None, None, Plan::Ask),
            (None, seconds(1), Plan::Ask),
            (seconds(0), None, Plan::Keep),
            (seconds(299), None, Plan::Keep),
            (seconds(300), None, Plan::Refresh),
            (seconds(300), seconds(9), Plan::Keep),
            (seconds(300), seconds(10), Plan::Refresh),
            (seconds(3599), None, Plan::Refresh),
            (seconds(3600), None, Plan::Ask),
            (seconds(3600), seconds(1), Plan::Ask),
        ] {
            assert_eq!(plan(age, failed), wanted, "{age:?} {failed:?}");
        }
    }

    #[test]
    fn waiting_is_as_long_as_told_within_reason() {
        for (waited, told, seconds) in [
            (0, None, 1),
            (1, None, 2),
            (9, None, 30),
            (0, Some("7"), 7),
            (0, Some("3600"), 30),
            (0, Some("x"), 1),
        ] {
            assert_eq!(wait(waited, told), Duration::from_secs(seconds), "{waited} {told:?}");
        }
    }
}
