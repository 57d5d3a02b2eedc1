//! The worker: comes for orders that nobody works on.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};
use tracing::Instrument;

use super::{Engine, claim::halves, hold::Hold};
use crate::{
    entropy,
    error::BoxError,
    order::{Lease, Order, OwnerToken, StoreError, Worker},
    telemetry,
    time::UnixSeconds,
};

impl Engine {
    /// Recovers orders that nobody works on: after a crash, a lost answer, a client that never came back. Spawn it once per
    /// process; it never ends.
    ///
    /// Every second it asks the store for orders that are [due](Order::due) and finishes what can be finished without their
    /// payer:
    ///
    /// | order | what it does |
    /// |---|---|
    /// | never sent, its authorization over | records that it expired |
    /// | of unknown outcome | asks the [witness](crate::facilitator::Witness); a [deferred](crate::SettleTiming::Deferred) one is settled again, others wait for their payer: the signature is theirs to present |
    /// | of unknown outcome for ten minutes | tells the operator, once: an error in the log and `x402_orders_attention_total` |
    /// | settled, not delivered for a minute | tells the operator, once; its payer may still come for it |
    ///
    /// Instances that share a store share the work. While the store does not answer, the worker says so once and asks less
    /// often. [`drain`](Self::drain) stops it from taking up more.
    ///
    /// ```no_run
    /// # fn start(engine: x402_core::Engine) {
    /// tokio::spawn(engine.worker());
    /// # }
    /// ```
    ///
    /// # Cancellation
    /// Dropped, it takes up nothing more. What it began goes on in tasks of its own.
    pub fn worker(&self) -> impl Future<Output = ()> + Send + use<> {
        let rounds = Rounds::new(self.clone());
        async move { rounds.go().await }
    }
}

/// The worker between its orders.
struct Rounds {
    engine: Engine,
    worker: Worker,
    /// How many orders are looked after at once.
    hands: Arc<Semaphore>,
    /// How many are taken over at once, those included that wait for a hand.
    desk: Arc<Semaphore>,
    /// When there was last nothing left to take up.
    caught_up: Option<UnixSeconds>,
    tidied: Option<Instant>,
    /// How often in a row the store failed.
    failures: u32,
}

impl Rounds {
    fn new(engine: Engine) -> Self {
        let (owner, _) = halves(entropy::draw());
        let worker = Worker { owner: OwnerToken::new(owner), lease: engine.shared.settings.lease };
        Self {
            engine,
            worker,
            hands: Arc::new(Semaphore::new(HANDS)),
            desk: Arc::new(Semaphore::new(DESK)),
            caught_up: None,
            tidied: None,
            failures: 0,
        }
    }

    async fn go(mut self) {
        loop {
            let pause = self.round().await;
            sleep(jittered(pause, entropy::draw()[0])).await;
        }
    }

    /// Takes up what is due; how long to wait before the next round.
    async fn round(&mut self) -> Duration {
        let shared = Arc::clone(&self.engine.shared);
        let now = shared.clock.now();
        shared.pulse.beat(now);
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are exact")]
        metrics::gauge!(telemetry::WORKER_LAST_RUN).set(now.get() as f64);
        let free = self.desk.available_permits();
        if free == 0 || shared.work.is_draining() {
            return EVERY;
        }
        let (store, worker) = (Arc::clone(&shared.store), self.worker);
        match self.ask(async move { store.due(&worker, free, now).await }).await {
            Ok(taken) => {
                let more = taken.len() >= free;
                taken.into_iter().for_each(|(lease, order)| self.take_up(lease, order));
                self.lags_behind(now, more);
                self.tidy(now).await;
                if more { SOON } else { EVERY }
            }
            Err(pause) => pause,
        }
    }

    fn take_up(&self, lease: Lease, order: Order) {
        let engine = self.engine.clone();
        let shared = &engine.shared;
        let mut hold = Hold::new(
            Arc::clone(&shared.store),
            Arc::clone(&shared.clock),
            lease,
            shared.settings.lease,
            &order,
        );
        hold.counted(&shared.work);
        let hands = Arc::clone(&self.hands);
        let place = Arc::clone(&self.desk).try_acquire_owned();
        let span = tracing::info_span!(
            "x402.recovery",
            order = %order.id,
            route = %order.terms.route,
            network = %order.terms.option.network,
        );
        // In a task of its own: should it panic, its hold lets go of the order, and the others go on.
        let work = async move {
            let _place = place;
            let _hand = hands.acquire().await;
            engine.recover(&order, hold).await;
        };
        tokio::spawn(work.instrument(span));
    }

    async fn tidy(&mut self, now: UnixSeconds) {
        if self.tidied.is_some_and(|tidied| tidied.elapsed() < TIDY_EVERY) {
            return;
        }
        self.tidied = Some(Instant::now());
        let store = Arc::clone(&self.engine.shared.store);
        let _ = self.ask(async move { store.tidy(now).await }).await;
    }

    fn lags_behind(&mut self, now: UnixSeconds, more: bool) {
        let caught_up = self.caught_up.get_or_insert(now);
        if !more {
            *caught_up = now;
        }
        metrics::gauge!(telemetry::WORKER_LAG).set(now.since(*caught_up).as_secs_f64());
    }

    /// Asks the store, whatever it does; else how long to leave it alone.
    async fn ask<T: Send + 'static>(
        &mut self,
        question: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, Duration> {
        let task = tokio::spawn(question);
        let stop = task.abort_handle();
        let error: BoxError = match timeout(self.worker.lease, task).await {
            Ok(Ok(Ok(answer))) => {
                if std::mem::take(&mut self.failures) > 0 {
                    tracing::info!("order store answers the worker again");
                }
                return Ok(answer);
            }
            Ok(Ok(Err(error))) => error.into(),
            Ok(Err(panicked)) => panicked.into(),
            Err(_) => {
                stop.abort();
                "no answer in time".into()
            }
        };
        if self.failures == 0 {
            let cause = error.source().map(ToString::to_string);
            tracing::error!(%error, cause, "order store does not answer the worker; trying again and again");
        }
        self.failures = self.failures.saturating_add(1);
        Err(EVERY.saturating_mul(1 << self.failures.min(5)).min(RARELY))
    }
}

/// Between three quarters and five quarters of it, so that instances do not come all at once.
fn jittered(pause: Duration, random: u8) -> Duration {
    pause * 3 / 4 + pause / 2 * u32::from(random) / 255
}

/// How many orders are looked after at once.
const HANDS: usize = 8;
/// How many orders are taken over at once.
const DESK: usize = 64;
const EVERY: Duration = Duration::from_secs(1);
/// While there is more to take up.
const SOON: Duration = Duration::from_millis(20);
/// While the store does not answer.
const RARELY: Duration = Duration::from_secs(8);
const TIDY_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_vary_around_their_length() {
        assert_eq!(jittered(EVERY, 0), Duration::from_millis(750));
        assert_eq!(jittered(EVERY, 255), Duration::from_millis(1250));
    }
}
