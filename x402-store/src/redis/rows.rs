//! Rows in Redis: each step is one script, each read one command.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use redis::{FromRedisValue, Value, cmd};
use x402_core::{
    order::{Cursor, Deferred, Filter, KeptPayment, Page, StoreError, StoredResponse, Transition},
    scheme::PaymentKey,
    time::UnixSeconds,
};

use super::{
    keys::{Keys, PARTS},
    link::Link,
    record,
    script::{INSERT, REPLACE, SWEEP},
    trouble::Trouble,
    write::Writing,
};
use crate::{
    codec::{payment_from_json, response_from_bytes},
    rows::{Change, Displaced, Inserted, Row, Rows},
};

pub(super) struct RedisRows {
    pub(super) link: Link,
    pub(super) keys: Keys,
    /// For errors: hosts, without anything secret.
    pub(super) place: String,
    pub(super) kept: Kept,
    /// Where the next search for due orders starts.
    turn: AtomicU8,
}

/// How long and how large responses are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) lifetime: Duration,
    pub(super) bytes: usize,
}

/// Who has an identifier, and in which version: where that changes, the identifier is not free after all.
type Namesake = Option<(PaymentKey, Option<u64>)>;

impl RedisRows {
    pub(super) const fn new(link: Link, keys: Keys, place: String, kept: Kept) -> Self {
        Self { link, keys, place, kept, turn: AtomicU8::new(0) }
    }

    /// The part to start with: another one each time.
    pub(super) fn turn(&self) -> u8 {
        self.turn.fetch_add(STRIDE, Ordering::Relaxed) % PARTS
    }

    pub(super) fn trouble(&self) -> impl Fn(redis::RedisError) -> StoreError + '_ {
        |error| Trouble::new(&self.place, &error).into()
    }

    /// Drops what a part's indices say of rows that expired; returns of how many.
    pub(super) async fn sweep(&self, part: u8) -> Result<usize, StoreError> {
        let limit = SWEPT.to_string();
        let answer = self.link.run(&SWEEP, &self.keys.indices(part), &[limit.as_bytes()]).await;
        answer.map_err(self.trouble())
    }

    async fn get<T: FromRedisValue>(&self, key: &str) -> Result<Option<T>, StoreError> {
        self.link.command(cmd("GET").arg(key)).await.map_err(self.trouble())
    }

    async fn write_new(
        &self,
        change: &Change,
        displaced: Option<u64>,
        namesake: &Namesake,
    ) -> Result<Outcome, StoreError> {
        let mut writing = Writing::new(change, &self.keys, self.kept);
        writing.before(displaced);
        if let Some((key, version)) = namesake {
            writing.namesake(self.keys.row(key), key, *version);
        }
        let answer = self.link.run(&INSERT, writing.keys(), &writing.arguments()).await;
        Outcome::from(answer.map_err(self.trouble())?)
    }
}

enum Outcome {
    Done,
    There(String),
    Namesake(PaymentKey),
}

impl Outcome {
    fn from(answer: Vec<Value>) -> Result<Self, StoreError> {
        let mut answer = answer.into_iter();
        let mut text = || answer.next().and_then(|value| redis::from_redis_value::<String>(value).ok());
        let outcome = match (text().as_deref(), text()) {
            (Some("0"), _) => Some(Self::Done),
            (Some("1"), Some(row)) => Some(Self::There(row)),
            (Some("2"), Some(key)) => payment_key(&key).map(Self::Namesake),
            _ => None,
        };
        outcome.ok_or_else(|| StoreError::Unavailable("a script of the order store answers strangely".into()))
    }
}

impl Rows for RedisRows {
    async fn load(&self, key: &PaymentKey) -> Result<Option<Row>, StoreError> {
        let text: Option<String> = self.get(&self.keys.row(key)).await?;
        text.map(|text| record::from_text(&text)).transpose()
    }

    async fn insert(&self, change: &Change, displaced: Displaced) -> Result<Inserted, StoreError> {
        let order = &change.row.order;
        let mut namesake: Namesake = None;
        for _ in 0..ATTEMPTS {
            let key = match self.write_new(change, displaced.version, &namesake).await? {
                Outcome::Done => return Ok(Inserted::Done),
                Outcome::There(row) => return record::from_text(&row).map(Inserted::There),
                Outcome::Namesake(key) => key,
            };
            // An order that is gone, goes by another name now, or gave the name up, does not keep it.
            let there = self.load(&key).await?;
            let keeps = |row: &Row| {
                row.order.payment_id == order.payment_id && displaced.namesake != Some((key, row.version))
            };
            let version = there.as_ref().map(|row| row.version);
            match there {
                Some(row) if keeps(&row) => return Ok(Inserted::Namesake(row)),
                _ => namesake = Some((key, version)),
            }
        }
        Err(StoreError::Unavailable("an identifier changes hands faster than it can be read".into()))
    }

    async fn replace(&self, change: &Change) -> Result<bool, StoreError> {
        let mut writing = Writing::new(change, &self.keys, self.kept);
        writing.before(change.row.version.checked_sub(1));
        let answer = self.link.run(&REPLACE, writing.keys(), &writing.arguments()).await;
        answer.map_err(self.trouble())
    }

    async fn due(&self, limit: usize, now: UnixSeconds) -> Result<Vec<Row>, StoreError> {
        self.find_due(limit, now).await
    }

    async fn response(&self, key: &PaymentKey) -> Result<Option<Arc<StoredResponse>>, StoreError> {
        let bytes: Option<Vec<u8>> = self.get(&self.keys.response(key)).await?;
        bytes.map(|bytes| response_from_bytes(Bytes::from(bytes)).map(Arc::new)).transpose()
    }

    async fn payment(&self, key: &PaymentKey) -> Result<Option<Arc<KeptPayment>>, StoreError> {
        let json: Option<String> = self.get(&self.keys.payment(key)).await?;
        json.map(|json| payment_from_json(&json).map(Arc::new)).transpose()
    }

    async fn deferred(&self, payer: &str) -> Result<Deferred, StoreError> {
        self.count_deferred(payer).await
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<Cursor>,
        limit: usize,
        now: UnixSeconds,
    ) -> Result<Page, StoreError> {
        self.find_page(filter, after, limit, now).await
    }

    async fn history(&self, key: &PaymentKey) -> Result<Vec<Transition>, StoreError> {
        let mut command = cmd("LRANGE");
        command.arg(self.keys.history(key)).arg(0).arg(-1);
        let lines: Vec<String> = self.link.command(&command).await.map_err(self.trouble())?;
        let read = |line: &String| serde_json::from_str(line);
        lines
            .iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map_err(|_| StoreError::Unavailable("a history in the order store cannot be read".into()))
    }

    /// Redis forgets by itself; this forgets what indices say of it.
    async fn tidy(&self, _: UnixSeconds) -> Result<(), StoreError> {
        for part in 0..PARTS {
            let mut rounds = 0..SWEEPS;
            while rounds.next().is_some() && self.sweep(part).await? == SWEPT {}
        }
        Ok(())
    }

    /// Writes to every part, and so to every node: one that is full or a replica reads well.
    async fn ping(&self) -> Result<(), StoreError> {
        let write = |part| {
            let mut command = cmd("SET");
            command.arg(self.keys.ping(part)).arg(1).arg("EX").arg(60);
            command
        };
        let parts = match self.link {
            Link::Node(_) => 0..1,
            Link::Cluster(_) => 0..PARTS,
        };
        self.link.batch::<Value>(parts.map(write).collect()).await.map(drop).map_err(self.trouble())
    }
}

pub(super) fn payment_key(hex: &str) -> Option<PaymentKey> {
    let mut bytes = [0; 32];
    let digits = hex.as_bytes();
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(PaymentKey::from_bytes(bytes))
}

const ATTEMPTS: usize = 4;
/// Coprime to the number of parts, so that each has its turn, and far from the last.
const STRIDE: u8 = 27;
/// Rows whose traces a script removes at once: it stops all others meanwhile.
const SWEPT: usize = 500;
const SWEEPS: usize = 40;
