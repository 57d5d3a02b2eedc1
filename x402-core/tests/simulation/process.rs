//! The life of one server's process: it may die at any call of a port, stand still, or come to a good end.

use std::{
    future::pending,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

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
        }
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
                Accident::Standstill(length) => {
                    *self.stands_until.lock().unwrap() = Instant::now() + length;
                }
            }
        }
        let until = *self.stands_until.lock().unwrap();
        if until > Instant::now() {
            sleep_until(until).await;
        }
        if self.is_dead() {
            pending::<()>().await;
        }
    }
}
