//! New blocks, polled once for everybody who waits.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::Rpc;

/// The head of the chain as last seen. Whoever waits polls for all the others too.
#[derive(Debug)]
pub(crate) struct Heads {
    seen: Arc<Mutex<(Option<Instant>, u64)>>,
}

impl Heads {
    pub(crate) fn new() -> Self {
        Self { seen: Arc::new(Mutex::new((None, 0))) }
    }

    /// Waits for a head beyond `number`. Wakes early, with an old number, when the node does not answer.
    ///
    /// # Cancellation
    /// A poll goes on when its future is dropped: a node slower than anybody's patience is heard all the same.
    pub(crate) async fn beyond(&self, number: u64, rpc: &Rpc) -> u64 {
        let mut seen = Arc::clone(&self.seen).lock_owned().await;
        if seen.1 > number {
            return seen.1;
        }
        let rpc = rpc.clone();
        let poll = tokio::spawn(async move {
            if let Some(last) = seen.0 {
                sleep_until(last + POLL_EVERY).await;
            }
            let head = rpc.head().await;
            seen.0 = Some(Instant::now());
            if let Ok(head) = head {
                seen.1 = head.number();
            }
            seen.1
        });
        poll.await.unwrap_or(number)
    }
}

const POLL_EVERY: Duration = Duration::from_millis(500);
