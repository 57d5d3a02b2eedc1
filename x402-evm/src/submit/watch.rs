//! Waiting for a transaction: nudged when it does not move, replaced when it pays too little.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use tokio::time::{Instant, sleep, timeout};

use super::{Broadcast, Errand, Fees, Sender, Sent};
use crate::{
    error::ChainError,
    rpc::{Call, Receipt},
};

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Blocks from the transaction's own to the head, both counted.
    pub(crate) confirmations: u64,
    /// Without a receipt for this long a transaction is nudged.
    pub(crate) stuck_after: Duration,
}

/// What became of a transaction.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// It, or one of its replacements, is in a block with the wanted confirmations.
    Mined(Arc<Receipt>),
    /// Its nonce was used by a transaction that is not ours.
    Overtaken,
    /// Nobody could tell for as long as we wait.
    Lost,
}

impl Sender {
    /// Waits for the transaction or a replacement. `tell` hears of each replacement.
    pub(crate) async fn watch(
        &self,
        sent: &mut Sent,
        patience: Patience,
        tell: impl Fn(B256) + Send,
    ) -> Fate {
        let mut nudged = Instant::now();
        let mut overtaken = 0;
        let mut pace = Pace::new();
        while !pace.is_over() {
            if let Some(receipt) = self.mined(&sent.hashes).await {
                sent.slot.mined();
                if pace.is_deep(&receipt, patience.confirmations) {
                    return Fate::Mined(Arc::new(receipt));
                }
            } else if nudged.elapsed() >= if sent.sure { patience.stuck_after } else { UNSURE_FOR } {
                match self.nudge(sent, &tell).await {
                    Ok(true) => overtaken += 1,
                    Ok(false) => overtaken = 0,
                    Err(error) => tracing::debug!(%error, "stuck settlement cannot be nudged"),
                }
                if overtaken == OVERTAKEN_TIMES {
                    return Fate::Overtaken;
                }
                nudged = Instant::now();
            }
            pace.wait(self).await;
        }
        Fate::Lost
    }

    /// Waits for transactions of an earlier run, which can only be looked at.
    pub(crate) async fn watch_earlier(
        &self,
        hashes: &[B256],
        confirmations: u64,
        within: Duration,
    ) -> Option<Receipt> {
        let mut pace = Pace::new();
        let waiting = async {
            loop {
                if let Some(receipt) = self.mined(hashes).await
                    && pace.is_deep(&receipt, confirmations)
                {
                    return receipt;
                }
                pace.wait(self).await;
            }
        };
        timeout(within, waiting).await.ok()
    }

    async fn mined(&self, hashes: &[B256]) -> Option<Receipt> {
        for hash in hashes.iter().rev() {
            if let Ok(Some(receipt)) = self.rpc.receipt(*hash).await {
                return Some(receipt);
            }
        }
        None
    }

    /// Gets a transaction moving that should have been mined. Tells whether its nonce is used without a receipt.
    async fn nudge(&self, sent: &mut Sent, tell: &(impl Fn(B256) + Send)) -> Result<bool, ChainError> {
        let account = self.key.address();
        let nonce = sent.slot.nonce;
        let (mined, waiting) =
            tokio::try_join!(self.rpc.account_nonce(account, false), self.rpc.account_nonce(account, true))?;
        if mined > nonce {
            return Ok(true);
        }
        if mined < nonce {
            self.clear_before(sent).await?;
        }
        let mut stuck = sent.sure;
        if waiting > nonce {
            // Ours, even if the answer to it was lost; or another with its nonce, to be outbid as well.
            sent.sure = true;
        } else {
            match Broadcast::from(self.rpc.broadcast(&sent.raw).await) {
                Broadcast::Accepted => {
                    sent.sure = true;
                    return Ok(false);
                }
                Broadcast::Known => sent.sure = true,
                Broadcast::TooCheap => stuck = true,
                other => tracing::debug!(transaction = %sent.hash(), ?other, "settlement not taken again"),
            }
        }
        if mined == nonce && stuck {
            self.replace(sent, tell).await?;
        }
        Ok(false)
    }

    /// Sends the same once more for a higher fee; either of the two can be mined, not both.
    async fn replace(&self, sent: &mut Sent, tell: &(impl Fn(B256) + Send)) -> Result<(), ChainError> {
        let Some(fees) = self.next_fees(sent.fees, sent.bumps, sent.errand.max_fee_per_gas).await else {
            tracing::warn!(transaction = %sent.hash(), "settlement stuck, and its fee is as high as allowed");
            return Ok(());
        };
        let signed = self.sign(&sent.errand, sent.slot.nonce, fees);
        sent.errand.note(&signed, sent.slot.nonce).await?;
        sent.bumps += 1;
        sent.fees = fees;
        if let Broadcast::Accepted | Broadcast::Known | Broadcast::Unsure(_) =
            Broadcast::from(self.rpc.broadcast(&signed.raw).await)
        {
            tracing::warn!(stuck = %sent.hash(), replacement = %signed.hash, "fee of a stuck settlement raised");
            sent.hashes.push(signed.hash);
            sent.raw = signed.raw;
            tell(signed.hash);
        }
        Ok(())
    }

    /// What to offer for a nonce that is stuck at `fees`: a step more, some times; after that only what the chain
    /// has come to want. `None` where it is not to be raised.
    async fn next_fees(&self, fees: Fees, raised: u32, limit: Option<u128>) -> Option<Fees> {
        let step = fees.raised();
        let present = self.oracle.fees(&self.rpc, limit).await.ok();
        let is_due = raised < MOST_BUMPS || present.is_some_and(|present| present.max >= step.max);
        let next = present.map_or(step, |present| step.at_least(present));
        (is_due && limit.is_none_or(|limit| next.max <= limit)).then_some(next)
    }

    /// Uses up a nonce before ours that nobody here is going to use, with a transfer of nothing to ourselves. It
    /// may replace a settlement of an earlier process that is stuck: whoever waits for that one settles it again.
    async fn clear_before(&self, sent: &mut Sent) -> Result<(), ChainError> {
        let turn = self.lane.turn().await;
        let Some(orphan) = self.lane.orphan_before(sent.slot.nonce, &self.rpc).await? else { return Ok(()) };
        tracing::warn!(nonce = orphan, "clearing a nonce of the gas account that holds up settlements");
        let clearing = sent.clearing.at_least(sent.fees);
        let raised = self.next_fees(clearing, sent.clears, sent.errand.max_fee_per_gas).await;
        // As high as allowed, the same is sent again: the node may have forgotten it.
        sent.clearing = raised.unwrap_or(clearing);
        sent.clears += 1;
        let own = self.key.address();
        let nothing = Call { from: own, to: own, data: Vec::new(), gas_limit: FILLER_GAS };
        let filler = self.sign(&Errand { call: nothing, ..sent.errand.clone() }, orphan, sent.clearing);
        let sent = Broadcast::from(self.rpc.broadcast(&filler.raw).await);
        tracing::debug!(?sent, nonce = orphan, "nonce cleared");
        drop(turn);
        Ok(())
    }
}

/// When to look again: soon at first, then with each block.
struct Pace {
    started: Instant,
    looks: usize,
    head: u64,
}

impl Pace {
    fn new() -> Self {
        Self { started: Instant::now(), looks: 0, head: 0 }
    }

    fn is_over(&self) -> bool {
        self.started.elapsed() >= WATCH_FOR
    }

    fn is_deep(&self, receipt: &Receipt, confirmations: u64) -> bool {
        confirmations <= 1 || self.head.saturating_add(1) >= receipt.block().saturating_add(confirmations)
    }

    async fn wait(&mut self, sender: &Sender) {
        match EARLY_LOOKS.get(self.looks) {
            Some(soon) => sleep(*soon).await,
            // Also without a new block: a node may know a block before it knows its receipts.
            None => {
                let head = timeout(LOOK_EVERY, sender.heads.beyond(self.head, &sender.rpc)).await;
                self.head = head.unwrap_or(self.head);
            }
        }
        self.looks += 1;
    }
}

const EARLY_LOOKS: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
];
const LOOK_EVERY: Duration = Duration::from_secs(1);
const UNSURE_FOR: Duration = Duration::from_secs(1);
/// A transaction that pays for a settled or dead authorization still blocks its nonce, so this outlasts both.
const WATCH_FOR: Duration = Duration::from_secs(2 * 3600);
const OVERTAKEN_TIMES: u32 = 3;
const MOST_BUMPS: u32 = 12;
/// Chains that charge for data as gas want more than the 21 000 of a plain transfer.
const FILLER_GAS: u64 = 200_000;
