//! Threads that own a connection, and take steps from a channel.
//!
//! *The writer* takes all steps that wait into one transaction, so that they share one write to the disk. While it is
//! written, the next steps gather; nobody is answered before. Should it fail as a whole, each step is tried alone, and
//! so it is where a step is refused when a part of it was done: a savepoint around each would undo that part alone, and
//! cost a copy of every page, each time, for what hardly ever happens.
//!
//! *The reader* sees what was committed and never waits for the disk's confirmation.

use std::{
    io,
    sync::Arc,
    thread::{JoinHandle, sleep},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use x402_core::order::StoreError;

use super::{
    failure::{Failure, unavailable},
    file::StoreFile,
};

/// A thread that ends, and closes its connection, when this is dropped.
pub(super) struct Thread {
    steps: Option<mpsc::Sender<Box<dyn Step>>>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    /// A thread whose steps change the file. `batch` is how many it takes into one transaction at most.
    pub(super) fn writer(connection: Connection, file: StoreFile, batch: usize) -> io::Result<Self> {
        Self::start("x402-sqlite-writer", batch, move |steps| write(&connection, &file, steps))
    }

    /// A thread whose steps change nothing.
    pub(super) fn reader(connection: Connection, file: StoreFile) -> io::Result<Self> {
        Self::start("x402-sqlite-reader", 1, move |steps| read(&connection, &file, steps))
    }

    fn start(
        name: &str,
        batch: usize,
        mut take: impl FnMut(&mut Vec<Box<dyn Step>>) + Send + 'static,
    ) -> io::Result<Self> {
        let (steps, mut waiting) = mpsc::channel(WAITING);
        let work = move || {
            let mut taken: Vec<Box<dyn Step>> = Vec::new();
            let mut last = Group::default();
            while waiting.blocking_recv_many(&mut taken, batch) > 0 {
                last.gather(&mut waiting, &mut taken);
                // Whoever gave up would not know that it was done.
                taken.retain(|step| step.is_awaited());
                let (steps, begun) = (taken.len(), Instant::now());
                if steps > 0 {
                    take(&mut taken);
                }
                last = Group { steps, took: begun.elapsed() };
            }
        };
        let handle = std::thread::Builder::new().name(name.into()).spawn(work)?;
        Ok(Self { steps: Some(steps), handle: Some(handle) })
    }

    /// Takes a step in the thread. It may be taken again, should its transaction fail.
    pub(super) async fn take<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let step = Asked { work, done: None, answer };
        let steps = self.steps.as_ref().ok_or_else(ended)?;
        steps.send(Box::new(step)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.steps = None;
        if let Some(handle) = self.handle.take() {
            // A panic was reported when it happened.
            let _ = handle.join();
        }
    }
}

/// How many steps were taken together last, and for how long.
#[derive(Default)]
struct Group {
    steps: usize,
    took: Duration,
}

impl Group {
    /// Whoever was answered soon comes with the next step: waits for as many as there were, as long as they keep coming
    /// and no longer than these took. A step that was alone waits for nobody.
    fn gather(&self, waiting: &mut mpsc::Receiver<Box<dyn Step>>, taken: &mut Vec<Box<dyn Step>>) {
        let begun = Instant::now();
        let mut before = 0;
        while before < taken.len() && taken.len() < self.steps && begun.elapsed() < self.took {
            before = taken.len();
            sleep(A_MOMENT);
            while taken.len() < self.steps
                && let Ok(step) = waiting.try_recv()
            {
                taken.push(step);
            }
        }
    }
}

/// A step that somebody waits for.
trait Step: Send {
    fn is_awaited(&self) -> bool;

    /// Takes it and keeps what came of it.
    ///
    /// # Errors
    /// Where the transaction may have suffered too.
    fn take(&mut self, connection: &Connection) -> Result<(), Failure>;

    /// Whether what it did is to be undone.
    fn is_refused(&self) -> bool;

    /// Tells what came of it, or why nothing did.
    fn answer(self: Box<Self>, file: &StoreFile, failed: Option<&Arc<str>>);
}

struct Asked<T, W> {
    work: W,
    done: Option<Result<T, Failure>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, W: FnMut(&Connection) -> Result<T, Failure> + Send> Step for Asked<T, W> {
    fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    fn take(&mut self, connection: &Connection) -> Result<(), Failure> {
        match (self.work)(connection) {
            Err(failure) if !failure.is_of_the_step() => Err(failure),
            done => {
                self.done = Some(done);
                Ok(())
            }
        }
    }

    fn is_refused(&self) -> bool {
        !matches!(self.done, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, file: &StoreFile, failed: Option<&Arc<str>>) {
        let answer = match (failed, self.done) {
            (None, Some(done)) => done.map_err(|failure| failure.into_error(&file.path)),
            (Some(why), _) => Err(unavailable(&**why)),
            (None, None) => Err(ended()),
        };
        // Nobody may wait any more.
        let _ = self.answer.send(answer);
    }
}

/// Writes steps in one transaction, and where that fails, each in its own.
fn write(connection: &Connection, file: &StoreFile, steps: &mut Vec<Box<dyn Step>>) {
    let failed = match transact(connection, file, steps) {
        Ok(()) => None,
        Err(NotWritten { begun: true, .. }) if steps.len() > 1 => {
            return steps.drain(..).for_each(|step| write(connection, file, &mut vec![step]));
        }
        Err(NotWritten { why, .. }) => Some(why),
    };
    for step in steps.drain(..) {
        step.answer(file, failed.as_ref());
    }
}

/// Why no step of a transaction was written.
struct NotWritten {
    /// Whether the fault may be one step's.
    begun: bool,
    why: Arc<str>,
}

fn transact(
    connection: &Connection,
    file: &StoreFile,
    steps: &mut [Box<dyn Step>],
) -> Result<(), NotWritten> {
    let not_written = |begun| {
        move |failure: Failure| NotWritten { begun, why: text(failure.into_error(&file.path)).into() }
    };
    file.is_in_place()
        .map_err(Failure::from)
        .and_then(|()| run(connection, "BEGIN IMMEDIATE"))
        .map_err(not_written(false))?;
    let end = take_all(connection, steps).and_then(|end| run(connection, end));
    end.map_err(|failure| {
        // SQLite itself may have undone it.
        if !connection.is_autocommit() {
            let _ = run(connection, "ROLLBACK");
        }
        not_written(true)(failure)
    })
}

/// Takes the steps, and says how their transaction is to end.
fn take_all(connection: &Connection, steps: &mut [Box<dyn Step>]) -> Result<&'static str, Failure> {
    let is_alone = steps.len() == 1;
    for step in steps {
        let before = connection.total_changes();
        step.take(connection)?;
        match step.is_refused() && connection.total_changes() != before {
            false => {}
            true if is_alone => return Ok("ROLLBACK"),
            true => return Err(unavailable("a step beside it was refused when a part of it was done").into()),
        }
    }
    Ok("COMMIT")
}

fn read(connection: &Connection, file: &StoreFile, steps: &mut Vec<Box<dyn Step>>) {
    for mut step in steps.drain(..) {
        let done = file.is_in_place().map_err(Failure::from).and_then(|()| step.take(connection));
        let failed = done.err().map(|failure| text(failure.into_error(&file.path)).into());
        step.answer(file, failed.as_ref());
    }
}

fn run(connection: &Connection, text: &str) -> Result<(), Failure> {
    connection.prepare_cached(text)?.execute([])?;
    Ok(())
}

fn text(error: StoreError) -> String {
    match error {
        StoreError::Unavailable(why) => why.to_string(),
        other => other.to_string(),
    }
}

fn ended() -> StoreError {
    unavailable("the thread that owns the file has ended; restart this process, and report what it logged")
}

/// How many steps wait at most; those who come then wait for their turn to wait.
const WAITING: usize = 1024;
/// In which somebody who was answered can ask again.
const A_MOMENT: Duration = Duration::from_micros(100);
