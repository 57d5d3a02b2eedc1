//! Which responses are paid for.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::outcome::{Outcome, ResponseHeader};

type Predicate = dyn Fn(u16, &[ResponseHeader]) -> bool + Send + Sync;

/// Decides whether a handler gave what is paid for.
#[derive(Clone, Default)]
pub(super) struct Success(Option<Arc<Predicate>>);

/// The application's predicate panicked; its message went to the panic hook.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Undecided;

impl Success {
    pub(super) fn new(predicate: impl Fn(u16, &[ResponseHeader]) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(predicate)))
    }

    /// Whether more than the status may matter.
    pub(super) const fn reads_headers(&self) -> bool {
        self.0.is_some()
    }

    /// A response that is none, or only announces one, is never paid for; 101 is one, the last on its connection.
    pub(super) fn is_success(&self, outcome: &Outcome) -> Result<bool, Undecided> {
        let status = outcome.status;
        if outcome.is_broken() || (status < 200 && status != 101) {
            return Ok(false);
        }
        match &self.0 {
            None => Ok(status < 400),
            Some(predicate) => {
                catch_unwind(AssertUnwindSafe(|| predicate(status, &outcome.headers))).map_err(|_| Undecided)
            }
        }
    }
}

impl fmt::Debug for Success {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "as the application says" } else { "below 400" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_counts_by_its_status_unless_the_application_knows_better() {
        let complete = |status| Outcome::complete(status, vec![("x-cached".into(), "1".into())], "x".into());
        let default = Success::default();
        let always = Success::new(|_, _| true);
        let fresh = Success::new(|status, headers| {
            status != 404 && !headers.iter().any(|(name, _)| name == "x-cached")
        });
        let panics = Success::new(|_, _| panic!("on purpose"));
        // Outcome; by default, always, unless cached or missing.
        for (outcome, wanted) in [
            (complete(200), [true, true, false]),
            (complete(302), [true, true, false]),
            (complete(404), [false, true, false]),
            (complete(500), [false, true, false]),
            (Outcome::streaming(200), [true, true, true]),
            (Outcome::streaming(404), [false, true, false]),
            (Outcome::streaming(101), [true, true, true]),
            (Outcome::streaming(100), [false, false, false]),
            (Outcome::streaming(103), [false, false, false]),
            (Outcome::failed(), [false, false, false]),
        ] {
            let told = [&default, &always, &fresh].map(|success| success.is_success(&outcome));
            assert_eq!(told, wanted.map(Ok), "{outcome:?}");
            let undecided = if wanted[1] { Err(Undecided) } else { Ok(false) };
            assert_eq!(panics.is_success(&outcome), undecided, "{outcome:?}");
        }
    }
}
