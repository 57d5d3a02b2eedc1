//! Group commit: steps that come at the same time go in one statement, and wait for the disk once.
//!
//! Some lanes with a connection each take whatever is waiting when they are free. A step that comes alone goes alone, at
//! once. One that the server cannot take (its transfer has settled another order) must not take the others with it: they
//! are halved until it is alone.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use tokio::sync::{
    Mutex,
    mpsc::{self, error::SendError},
    oneshot,
};
use x402_core::order::StoreError;

use super::{
    batch::{Batch, Parameter},
    link::{Ask, Link},
    record::Record,
    trouble::Trouble,
};
use crate::rows::Displaced;

/// Takes steps of one kind.
pub(super) struct Writer {
    steps: mpsc::Sender<Step>,
}

/// What steps do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Open,
    Change,
}

struct Step {
    record: Record,
    displaced: Displaced,
    answer: oneshot::Sender<Result<bool, StoreError>>,
}

impl Writer {
    /// With a lane for each connection, on the runtime of the caller.
    pub(super) fn start(kind: Kind, links: Vec<Link>) -> Self {
        let (steps, waiting) = mpsc::channel(WAITING);
        let queue = Arc::new(Mutex::new(Queue { kind, waiting, aside: VecDeque::new() }));
        for link in links {
            tokio::spawn(run(kind, link, Arc::clone(&queue)));
        }
        Self { steps }
    }

    /// Takes one step; says whether the rows were as it expects.
    ///
    /// # Cancellation
    /// A step that has not been sent is not taken.
    pub(super) async fn write(&self, record: Record, displaced: Displaced) -> Result<bool, StoreError> {
        let (answer, answered) = oneshot::channel();
        let ended = || StoreError::Unavailable(ENDED.into());
        let sent = self.steps.send(Step { record, displaced, answer }).await;
        sent.map_err(|SendError(_)| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

/// What waits for a lane.
struct Queue {
    kind: Kind,
    waiting: mpsc::Receiver<Step>,
    /// Could not go with those it came with.
    aside: VecDeque<Step>,
}

impl Queue {
    /// The next steps that can go in one statement: with different keys, and any that displaces another order by itself.
    /// None when nobody can bring any.
    async fn next(&mut self) -> Option<Vec<Step>> {
        let first = match self.pop() {
            Some(step) => step,
            None => self.waiting.recv().await?,
        };
        let alone = first.displaces();
        let mut taken = Taken::new(self.kind);
        taken.admits(&first.record);
        let mut size = first.record.size();
        let mut steps = vec![first];
        let mut aside = VecDeque::new();
        while !alone && steps.len() < TOGETHER && size < TOGETHER_BYTES {
            let Some(step) = self.pop() else { break };
            if step.displaces() || !taken.admits(&step.record) {
                aside.push_back(step);
                continue;
            }
            size += step.record.size();
            steps.push(step);
        }
        aside.append(&mut self.aside);
        self.aside = aside;
        Some(steps)
    }

    /// One that is there and is waited for. Whoever has gone was told that nobody knows; so it may just as well not happen.
    fn pop(&mut self) -> Option<Step> {
        loop {
            let step = self.aside.pop_front().or_else(|| self.waiting.try_recv().ok())?;
            if !step.answer.is_closed() {
                return Some(step);
            }
        }
    }
}

/// What steps that go together lock, a payer after the other: keys and names. Everybody locks in one order, so that
/// nobody waits in a circle; where a payer has a name to lock, its one order is all that is locked of it.
struct Taken {
    kind: Kind,
    keys: HashSet<[u8; 32]>,
    /// With whether it locks a name.
    payers: HashMap<String, bool>,
}

impl Taken {
    fn new(kind: Kind) -> Self {
        Self { kind, keys: HashSet::new(), payers: HashMap::new() }
    }

    /// Adds a step, if it can go with those that are there.
    fn admits(&mut self, record: &Record) -> bool {
        let is_named = self.kind == Kind::Open && record.payment_id.is_some();
        let meets = self.payers.get(&record.payer).is_some_and(|named| *named || is_named);
        if meets || !self.keys.insert(record.key) {
            return false;
        }
        self.payers.insert(record.payer.clone(), is_named);
        true
    }
}

impl Step {
    const fn displaces(&self) -> bool {
        self.displaced.version.is_some() || self.displaced.namesake.is_some()
    }
}

async fn run(kind: Kind, link: Link, queue: Arc<Mutex<Queue>>) {
    loop {
        let Some(steps) = queue.lock().await.next().await else { return };
        let mut parts = vec![steps];
        while let Some(mut part) = parts.pop() {
            match write(kind, &link, &part).await {
                Ok(done) => {
                    for step in part {
                        let is_done = done.contains(&step.record.key);
                        // Who does not wait any more reads what became of it.
                        let _ = step.answer.send(Ok(is_done));
                    }
                }
                Err(trouble) if trouble.is_of_one && part.len() > 1 => {
                    let half = part.split_off(part.len() / 2);
                    parts.extend([half, part]);
                }
                Err(trouble) => {
                    for step in part {
                        let _ = step.answer.send(refused(kind, &trouble));
                    }
                }
            }
        }
    }
}

/// The keys of those that were taken.
async fn write(kind: Kind, link: &Link, steps: &[Step]) -> Result<HashSet<[u8; 32]>, Trouble> {
    let first = steps.first().expect("there is a step to take");
    let batch = Batch::of(steps.iter().map(|step| &step.record).collect());
    let mut with = batch.parameters();
    let Displaced { version, namesake } = first.displaced;
    let (key, name) =
        (namesake.map(|(key, _)| key.as_bytes().to_vec()), namesake.map(|(_, version)| signed(version)));
    let version = version.map(signed);
    let ask = match kind {
        Kind::Change => Ask::Prepared(|all| &all.replace),
        Kind::Open if first.displaces() => {
            with.extend([&key as Parameter<'_>, &version, &name]);
            Ask::Prepared(|all| &all.displace)
        }
        Kind::Open => Ask::Prepared(|all| &all.insert),
    };
    let rows = link.query(ask, &with).await?;
    Ok(rows.iter().filter_map(|row| row.get::<_, &[u8]>(0).try_into().ok()).collect())
}

fn refused(kind: Kind, trouble: &Trouble) -> Result<bool, StoreError> {
    match trouble.rule.as_deref() {
        Some(TRANSFER) => Err(StoreError::TransferTaken),
        // What is in its way is looked for next.
        Some(NAME | ID) if kind == Kind::Open => Ok(false),
        _ => Err(trouble.into()),
    }
}

fn signed(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// Those beyond wait to get in line.
const WAITING: usize = 4096;
const TOGETHER: usize = 128;
const TOGETHER_BYTES: usize = 4 * 1024 * 1024;
const TRANSFER: &str = "orders_transfer";
const NAME: &str = "orders_name";
const ID: &str = "orders_id";
const ENDED: &str = "PostgreSQL is not written to any more: the runtime that the store was made on has ended";

#[cfg(test)]
mod tests;
