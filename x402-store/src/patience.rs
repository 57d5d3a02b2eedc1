//! Waiting for others, and not for ourselves.

use std::{pin::pin, time::Duration};

use tokio::time::timeout;

/// Waits for `work` for as long as `limit`; `None` when it is over.
///
/// Only time in which this process got on counts: where more tasks are ready than can run, an answer may have arrived long
/// before anybody has read it. So the wait is made of short ones, and between two of them whoever is ready has its turn.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    for _ in 0..PARTS {
        if let Ok(done) = timeout(limit / PARTS, work.as_mut()).await {
            return Some(done);
        }
    }
    None
}

const PARTS: u32 = 10;

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        thread,
        time::{Duration, Instant},
    };

    use tokio::{sync::oneshot, time::sleep};

    use super::within;

    const LIMIT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn silence_ends_after_the_limit() {
        let start = Instant::now();
        assert_eq!(within(LIMIT, pending::<()>()).await, None);
        assert!(start.elapsed() >= LIMIT, "{:?}", start.elapsed());
        assert_eq!(within(LIMIT, sleep(LIMIT / 4)).await, Some(()));
    }

    #[tokio::test]
    async fn an_answer_that_nobody_had_time_to_read_is_not_late() {
        let (send, answer) = oneshot::channel();
        tokio::spawn(async move {
            sleep(LIMIT / 2).await;
            let _ = send.send(7);
        });
        let busy = async {
            let start = Instant::now();
            tokio::task::yield_now().await;
            thread::sleep(LIMIT * 2); // everything in this process stands still
            start.elapsed()
        };
        let (answer, stood_still) = tokio::join!(within(LIMIT, answer), busy);
        assert!(stood_still > LIMIT);
        assert_eq!(answer, Some(Ok(7)));
    }
}
