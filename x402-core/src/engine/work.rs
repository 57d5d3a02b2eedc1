//! What this process is doing, counted, so that a shutdown can wait for it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

/// The count of all work: claims, handlers, settlements, reports of delivery, recoveries.
#[derive(Clone)]
pub(super) struct Work(Arc<Tally>);

struct Tally {
    state: watch::Sender<State>,
    /// The same as in the state, for those who must not take a lock.
    draining: AtomicBool,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    running: usize,
    draining: bool,
}

/// One piece of work, for as long as it lives.
pub(super) struct Working(Arc<Tally>);

impl Work {
    pub(super) fn new() -> Self {
        Self(Arc::new(Tally {
            state: watch::Sender::new(State::default()),
            draining: AtomicBool::new(false),
        }))
    }

    /// Counts a piece of work that goes on with what was begun.
    pub(super) fn begin(&self) -> Working {
        Working::new(&self.0)
    }

    /// Counts a new piece of work; `None` where none is taken up any more.
    pub(super) fn begin_new(&self) -> Option<Working> {
        // Counted first: whoever drains sees it, or it sees whoever drains.
        let working = self.begin();
        let draining = self.0.state.borrow().draining;
        (!draining).then_some(working)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Refuses new work from now on, and waits until there is none; `false` when some is left.
    pub(super) async fn drain(&self, within: Duration) -> bool {
        self.0.draining.store(true, Ordering::Relaxed);
        self.0.state.send_modify(|state| state.draining = true);
        let mut state = self.0.state.subscribe();
        let idle = state.wait_for(|state| state.running == 0);
        timeout(within, idle).await.is_ok()
    }

    pub(super) fn running(&self) -> usize {
        self.0.state.borrow().running
    }
}

impl Working {
    fn new(tally: &Arc<Tally>) -> Self {
        tally.state.send_if_modified(|state| {
            state.running += 1;
            false
        });
        Self(Arc::clone(tally))
    }
}

impl Clone for Working {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.state.send_if_modified(|state| {
            state.running -= 1;
            state.running == 0
        });
    }
}

impl fmt::Debug for Working {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Working")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn draining_waits_for_what_was_begun_and_takes_nothing_new() {
        let work = Work::new();
        let first = work.begin_new().unwrap();
        let second = first.clone();
        assert!(!work.drain(Duration::from_secs(1)).await, "two are left");
        assert!(work.is_draining() && work.begin_new().is_none());
        drop(first);
        assert_eq!(work.running(), 1);
        let drained = tokio::spawn({
            let work = work.clone();
            async move { work.drain(Duration::from_secs(30)).await }
        });
        tokio::task::yield_now().await;
        drop(second);
        assert!(drained.await.unwrap());
        assert_eq!(work.running(), 0);
    }
}
