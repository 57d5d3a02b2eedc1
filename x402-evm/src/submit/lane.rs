//! The nonces of one account: each is used once, in order, and none is left out.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use x402_core::scheme::EvmAddress;

use crate::{error::ChainError, rpc::Rpc};

/// Hands out the nonces of one account, one sender at a time, so that transactions reach the node in order.
///
/// A nonce is taken only when its transaction may have been sent; one that was refused is given out again.
#[derive(Debug)]
pub(crate) struct Lane {
    account: EvmAddress,
    /// The nonce after the last one taken; `None` when the chain must be asked.
    expected: AsyncMutex<Option<u64>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    held: Mutex<BTreeSet<u64>>,
    /// Nonces below this one are used, whatever a node that lags behind says.
    floor: AtomicU64,
}

/// The right to send with the account's next nonce.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    lane: &'a Lane,
    expected: MutexGuard<'a, Option<u64>>,
}

/// A nonce whose transaction may be on its way. Dropped when its fate is known.
#[derive(Debug)]
#[must_use = "dropping a slot says that its transaction needs no more watching"]
pub(crate) struct Slot {
    pub(crate) nonce: u64,
    shared: Arc<Shared>,
}

impl Slot {
    /// The nonce was seen in a block.
    pub(crate) fn mined(&self) {
        self.shared.floor.fetch_max(self.nonce.saturating_add(1), Ordering::Relaxed);
    }
}

impl Lane {
    pub(crate) fn new(account: EvmAddress) -> Self {
        Self { account, expected: AsyncMutex::default(), shared: Arc::default() }
    }

    pub(crate) async fn turn(&self) -> Turn<'_> {
        Turn { lane: self, expected: self.expected.lock().await }
    }

    /// The lowest nonce before `nonce` that is not mined and that nothing from here is going to use: one that
    /// was left out, or one of an earlier process whose transaction is stuck.
    pub(crate) async fn orphan_before(&self, nonce: u64, rpc: &Rpc) -> Result<Option<u64>, ChainError> {
        let mined = rpc.account_nonce(self.account, false).await?;
        let held = self.shared.held();
        Ok((mined..nonce).find(|nonce| !held.contains(nonce)))
    }
}

impl Turn<'_> {
    /// The nonce to send with. The chain is asked at the start, after trouble, and when nothing is on its way.
    pub(crate) async fn nonce(&mut self, rpc: &Rpc) -> Result<u64, ChainError> {
        let shared = &self.lane.shared;
        let idle = shared.held().is_empty();
        let first = match *self.expected {
            Some(nonce) if !idle => nonce,
            _ => rpc.account_nonce(self.lane.account, true).await?,
        };
        let first = first.max(shared.floor.load(Ordering::Relaxed));
        let held = shared.held();
        Ok((first..).find(|nonce| !held.contains(nonce)).expect("fewer than 2^64 are held"))
    }

    /// Takes the nonce: its transaction was sent, or may have been.
    pub(crate) fn take(&mut self, nonce: u64) -> Slot {
        *self.expected = nonce.checked_add(1);
        self.lane.shared.held().insert(nonce);
        Slot { nonce, shared: Arc::clone(&self.lane.shared) }
    }

    /// The node says that the nonce is used by a transaction we do not know: asks the chain before the next one.
    pub(crate) fn skip(&mut self, nonce: u64) {
        *self.expected = None;
        self.lane.shared.floor.fetch_max(nonce.saturating_add(1), Ordering::Relaxed);
    }
}

impl Shared {
    fn held(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.held().remove(&self.nonce);
    }
}
