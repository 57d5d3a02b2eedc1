//! Sending transactions from one account, and finding out what became of them.

mod batch;
mod broadcast;
mod fees;
mod journal;
mod lane;
mod watch;

use std::{fmt, sync::Arc, time::Duration};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{B256, Signature, TxKind};
use tokio::time::timeout;
use x402_core::scheme::PaymentKey;

pub use self::batch::Batching;
pub use self::journal::{FileJournal, Journal, JournalEntry, MemoryJournal};
pub(crate) use self::{
    batch::{Load, Manifest, gas_of},
    watch::{Fate, Patience},
};
use self::{
    broadcast::Broadcast,
    fees::{FeeOracle, Fees},
    lane::{Lane, Slot},
};
use crate::{
    error::ChainError,
    gas_key::GasKey,
    rpc::{Call, Heads, Rpc, at},
};

/// Sends from one account on one chain.
#[derive(Debug)]
pub(crate) struct Sender {
    rpc: Rpc,
    key: GasKey,
    lane: Lane,
    oracle: FeeOracle,
    heads: Heads,
}

/// What to send, and for which payments.
#[derive(Clone)]
pub(crate) struct Errand {
    pub(crate) payments: Vec<PaymentKey>,
    pub(crate) chain_id: u64,
    pub(crate) call: Call,
    pub(crate) max_fee_per_gas: Option<u128>,
    pub(crate) journal: Arc<dyn Journal>,
}

/// A transaction that was sent, or may have been; with its replacements.
#[derive(Debug)]
pub(crate) struct Sent {
    errand: Errand,
    slot: Slot,
    fees: Fees,
    /// The last fees offered for a nonce that held this one up.
    clearing: Fees,
    clears: u32,
    hashes: Vec<B256>,
    raw: Vec<u8>,
    /// Whether a node said that it has it.
    sure: bool,
    bumps: u32,
}

struct Signed {
    hash: B256,
    raw: Vec<u8>,
}

impl Sender {
    pub(crate) fn new(rpc: Rpc, key: GasKey) -> Self {
        let lane = Lane::new(key.address());
        Self { rpc, key, lane, oracle: FeeOracle::default(), heads: Heads::new() }
    }

    pub(crate) const fn key(&self) -> &GasKey {
        &self.key
    }

    /// Asks the node for fees ahead of [`send`](Self::send), so that it need not be asked with the lane held.
    pub(crate) async fn ready(&self, max_fee_per_gas: Option<u128>) -> Result<(), ChainError> {
        self.oracle.fees(&self.rpc, max_fee_per_gas).await.map(drop)
    }

    /// The most to pay per gas at present, never above the limit.
    pub(crate) async fn fee(&self, limit: Option<u128>) -> Result<u128, ChainError> {
        let fees = self.oracle.fees(&self.rpc, None).await?;
        Ok(fees.max.min(limit.unwrap_or(u128::MAX)))
    }

    /// Sends. On an error nothing was sent and no nonce is used.
    ///
    /// # Cancellation
    /// Must not be dropped: runs in a task of its own.
    pub(crate) async fn send(&self, errand: Errand) -> Result<Sent, ChainError> {
        let mut fees = self.oracle.fees(&self.rpc, errand.max_fee_per_gas).await?;
        let turn = timeout(TURN_WITHIN, self.lane.turn()).await;
        let mut turn =
            turn.map_err(|_| ChainError::Local("too many settlements wait for the gas account"))?;
        for _ in 0..ATTEMPTS {
            let nonce = turn.nonce(&self.rpc).await?;
            let signed = self.sign(&errand, nonce, fees);
            errand.note(&signed, nonce).await?;
            let broadcast = self.rpc.broadcast(&signed.raw).await;
            let sure = match Broadcast::from(broadcast) {
                Broadcast::Accepted | Broadcast::Known => true,
                Broadcast::Unsure(error) => {
                    tracing::warn!(transaction = %signed.hash, %error, "transaction may have been sent");
                    false
                }
                Broadcast::NonceUsed | Broadcast::NonceOccupied => {
                    turn.skip(nonce);
                    continue;
                }
                Broadcast::TooCheap if fees.raised().max <= errand.max_fee_per_gas.unwrap_or(u128::MAX) => {
                    fees = fees.raised();
                    continue;
                }
                Broadcast::TooCheap => {
                    return Err(ChainError::Gas("gas costs more than max_fee_per_gas allows"));
                }
                Broadcast::TooBig => return Err(ChainError::TooBig),
                Broadcast::Refused(error) => return Err(error),
            };
            let slot = turn.take(nonce);
            tracing::debug!(transaction = %signed.hash, nonce, "settlement sent");
            let hashes = vec![signed.hash];
            let (clearing, raw) = (fees, signed.raw);
            return Ok(Sent { errand, slot, fees, clearing, clears: 0, hashes, raw, sure, bumps: 0 });
        }
        Err(ChainError::Gas("the gas account's nonces are used by somebody else"))
    }

    fn sign(&self, errand: &Errand, nonce: u64, fees: Fees) -> Signed {
        let transaction = TxEip1559 {
            chain_id: errand.chain_id,
            nonce,
            gas_limit: errand.call.gas_limit,
            max_fee_per_gas: fees.max,
            max_priority_fee_per_gas: fees.tip,
            to: TxKind::Call(at(errand.call.to)),
            input: errand.call.data.clone().into(),
            ..TxEip1559::default()
        };
        let signature = self.key.sign(&transaction.signature_hash());
        let signature = Signature::from_raw(&signature.to_bytes()).expect("65 bytes with v 27 or 28");
        let signed = transaction.into_signed(signature);
        let mut raw = Vec::with_capacity(signed.eip2718_encoded_length());
        signed.eip2718_encode(&mut raw);
        Signed { hash: *signed.hash(), raw }
    }
}

impl Sent {
    /// The latest transaction that may settle it.
    pub(crate) fn hash(&self) -> B256 {
        *self.hashes.last().expect("at least one was sent")
    }
}

impl Errand {
    /// Writes down what is about to be sent, off the runtime's threads: journals may wait for a disk.
    async fn note(&self, signed: &Signed, account_nonce: u64) -> Result<(), ChainError> {
        let entry = |payment: &PaymentKey| JournalEntry {
            payment: *payment,
            transaction: signed.hash.0,
            account_nonce,
        };
        let entries: Vec<_> = self.payments.iter().map(entry).collect();
        let journal = Arc::clone(&self.journal);
        match tokio::task::spawn_blocking(move || journal.note_all(&entries)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(%error, "journal cannot be written");
                Err(ChainError::Local("journal cannot be written"))
            }
            Err(_) => Err(ChainError::Local("journal failed")),
        }
    }
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errand").field("payments", &self.payments).finish_non_exhaustive()
    }
}

const TURN_WITHIN: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 8;
