//! Orders that are due, and how many owe their settlement: over all parts, in two rounds.

use std::collections::BTreeSet;

use redis::{Cmd, cmd};
use x402_core::{
    order::{Deferred, StoreError},
    scheme::PaymentKey,
    time::UnixSeconds,
};

use super::{
    keys::{PARTS, parts_of},
    record,
    rows::{RedisRows, payment_key},
};
use crate::rows::{Row, readable};

impl RedisRows {
    /// Each search starts at another part, so that none waits behind the others.
    pub(super) async fn find_due(&self, limit: usize, now: UnixSeconds) -> Result<Vec<Row>, StoreError> {
        let limit = limit.min(MOST);
        let start = self.turn();
        let commands = (0..PARTS).map(|step| {
            let mut command = cmd("ZRANGEBYSCORE");
            command.arg(self.keys.due((start + step) % PARTS)).arg("-inf").arg(now.get());
            command.arg("LIMIT").arg(0).arg(limit);
            command
        });
        let due: Vec<Vec<String>> = self.link.batch(commands.collect()).await.map_err(self.trouble())?;
        let keys: Vec<PaymentKey> =
            due.iter().flatten().take(limit).filter_map(|key| payment_key(key)).collect();
        let texts = self.texts(&keys).await?;
        let expired = keys.iter().zip(&texts).filter(|(_, text)| text.is_none()).map(|(key, _)| key.shard());
        // They would be found again and again, in front of others.
        for part in expired.collect::<BTreeSet<u8>>() {
            self.sweep(part).await?;
        }
        Ok(readable(texts.iter().flatten().map(|text| record::from_text(text))))
    }

    pub(super) async fn count_deferred(&self, payer: &str) -> Result<Deferred, StoreError> {
        let payer = payer.to_ascii_lowercase();
        let in_total = (0..PARTS).map(|part| {
            let mut command = cmd("HLEN");
            command.arg(self.keys.owed(part));
            command
        });
        // From the payer with a space to the payer with what comes after a space.
        let of_payer = parts_of(&payer).map(|part| {
            let mut command = cmd("ZLEXCOUNT");
            command.arg(self.keys.owers(part)).arg(format!("[{payer} ")).arg(format!("({payer}!"));
            command
        });
        let commands: Vec<Cmd> = in_total.chain(of_payer).collect();
        let counts: Vec<u64> = self.link.batch(commands).await.map_err(self.trouble())?;
        let (in_total, of_payer) = counts.split_at(usize::from(PARTS));
        Ok(Deferred { in_total: in_total.iter().sum(), of_payer: of_payer.iter().sum() })
    }

    /// The rows of these payments, in the same order; none where there is none any more.
    pub(super) async fn rows(&self, keys: &[PaymentKey]) -> Result<Vec<Option<Row>>, StoreError> {
        let texts = self.texts(keys).await?;
        texts.iter().map(|text| text.as_deref().map(record::from_text).transpose()).collect()
    }

    async fn texts(&self, keys: &[PaymentKey]) -> Result<Vec<Option<String>>, StoreError> {
        let read = |key: &PaymentKey| {
            let mut command = cmd("GET");
            command.arg(self.keys.row(key));
            command
        };
        self.link.batch(keys.iter().map(read).collect()).await.map_err(self.trouble())
    }
}

/// Orders that a search finds at most.
const MOST: usize = 10_000;
