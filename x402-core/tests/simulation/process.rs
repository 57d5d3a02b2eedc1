//! The life of one server's process: it may die at any call of a port, stand still, or come to a good end.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    task::{Poll, ready},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use x402_core::scheme::PaymentKey;

use crate::world::World;

/// A process. Its ports ask it before and after each call whether it is still there.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) server: usize,
    dead: AtomicBool,
    gone: Notify,
    /// After so many calls the accident happens; negative for never.
    fuse: AtomicI64,
    accident: Mutex<Accident>,
    stands_until: Mutex<Instant>,
    troubles: Mutex<Vec<Trouble>>,
}

/// Why a process may have failed to tell the store of an order, or of all of them.
#[derive(Clone, Debug)]
struct Trouble {
    of: Option<PaymentKey>,
    from: Instant,
    until: Instant,
}

/// What happens to a process in the middle of something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Accident {
    Death,
    /// It stands still for so long: a paused machine, a long collection of garbage next door.
    Standstill(Duration),
}

impl Process {
    pub(crate) fn new(server: usize) -> Self {
        Self {
            server,
            dead: AtomicBool::new(false),
            gone: Notify::new(),
            fuse: AtomicI64::new(-1),
            accident: Mutex::new(Accident::Death),
            stands_until: Mutex::new(Instant::now()),
            troubles: Mutex::default(),
        }
    }

    /// From now on, for so long, the store does not hear of an order as soon as it should.
    pub(crate) fn is_troubled(&self, of: Option<PaymentKey>, length: Duration) {
        let from = Instant::now();
        self.troubles.lock().unwrap().push(Trouble { of, from, until: from + length });
    }

    /// Whether that was so at some time between the two.
    pub(crate) fn was_troubled(&self, key: &PaymentKey, from: Instant, until: Instant) -> bool {
        let troubles = self.troubles.lock().unwrap();
        troubles.iter().any(|trouble| {
            trouble.of.is_none_or(|of| of == *key) && trouble.from <= until && from <= trouble.until
        })
    }

    /// The accident happens when its ports were called so many times more, each call counting for its beginning and its end.
    pub(crate) fn light_fuse(&self, calls: u64, accident: Accident) {
        *self.accident.lock().unwrap() = accident;
        self.fuse.store(i64::try_from(calls).unwrap(), Ordering::Relaxed);
    }

    pub(crate) fn put_out_fuse(&self) {
        self.fuse.store(-1, Ordering::Relaxed);
    }

    pub(crate) fn die(&self) {
        self.is_troubled(None, FOR_EVER);
        self.dead.store(true, Ordering::Relaxed);
        self.gone.notify_waiters();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Ends when the process does.
    pub(crate) async fn gone(&self) {
        let gone = self.gone.notified();
        if !self.is_dead() {
            gone.await;
        }
    }

    /// On the way from or to a port: what is dead gets no further.
    pub(crate) async fn pass(&self) {
        let fuse = self.fuse.load(Ordering::Relaxed);
        if fuse >= 0 {
            self.fuse.store(fuse - 1, Ordering::Relaxed);
        }
        if fuse == 0 {
            match *self.accident.lock().unwrap() {
                Accident::Death => self.die(),
                Accident::Standstill(length) => self.stand_still(length),
            }
        }
        let until = self.stands_until();
        if until > Instant::now() {
            sleep_until(until).await;
        }
        if self.is_dead() {
            pending::<()>().await;
        }
    }

    /// Polls what one of its connections does. While the process stands still nothing moves, and it may begin to stand
    /// still before any turn: what its tasks have done meanwhile waits for the connection.
    pub(crate) async fn turns<F: Future>(&self, world: &World, work: F) -> F::Output {
        let mut work = pin!(work);
        let mut still = pin!(sleep_until(Instant::now()));
        poll_fn(|context| {
            if world.strikes(world.climate.standstills) {
                self.stand_still(Duration::from_secs(world.rng.between(1, 70)));
                world.tell(format_args!("s{}", self.server), || "stands still".to_owned());
                world.count("freezes before a turn of a connection");
            }
            let until = self.stands_until();
            if until > Instant::now() {
                still.as_mut().reset(until);
                ready!(still.as_mut().poll(context));
            }
            if self.is_dead() { Poll::Pending } else { work.as_mut().poll(context) }
        })
        .await
    }

    fn stand_still(&self, length: Duration) {
        self.is_troubled(None, length);
        *self.stands_until.lock().unwrap() = Instant::now() + length;
    }

    fn stands_until(&self) -> Instant {
        *self.stands_until.lock().unwrap()
    }
}

const FOR_EVER: Duration = Duration::from_secs(1 << 20);
