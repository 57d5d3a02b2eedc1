//! Walking back through a contract's logs, step by step.

use alloy_primitives::B256;
use alloy_rpc_types_eth::Log;
use x402_core::{scheme::EvmAddress, time::UnixSeconds};

use crate::{
    error::ChainError,
    rpc::{Header, Rpc, at},
};

/// The logs of `contract` with these topics, newest blocks first, down to the time before which they cannot matter.
pub(super) struct Walk<'a> {
    rpc: &'a Rpc,
    contract: EvmAddress,
    events: [B256; 2],
    topics: [B256; 2],
    earliest: UnixSeconds,
    /// The last block not looked at; none when all that matter were.
    last: Option<u64>,
    span: u64,
    steps: u32,
}

impl<'a> Walk<'a> {
    /// From block `last` back to `earliest`.
    pub(super) const fn new(
        rpc: &'a Rpc,
        contract: EvmAddress,
        events: [B256; 2],
        topics: [B256; 2],
        (earliest, last): (UnixSeconds, u64),
    ) -> Self {
        Self { rpc, contract, events, topics, earliest, last: Some(last), span: SPAN, steps: 0 }
    }

    /// The logs of the next step; `None` when the walk is over.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Log>>, ChainError> {
        let Some(last) = self.last else { return Ok(None) };
        let (first, found) = loop {
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return Err(ChainError::Lost("the use of the authorization is too far back in the chain"));
            }
            let first = last.saturating_sub(self.span - 1);
            match self.rpc.logs(self.contract, self.events, self.topics, (first, last)).await {
                Ok(found) => break (first, found),
                // Providers limit the range, each differently.
                Err(ChainError::Refused { .. }) if self.span > SMALLEST_SPAN => {
                    self.span = (self.span / 4).max(SMALLEST_SPAN);
                }
                Err(error) => return Err(error),
            }
        };
        // Asked now, so that whoever found what they looked for can stop without it.
        self.last = (first > 0).then(|| first - 1);
        // Some nodes are careless with filters.
        let is_asked = |log: &Log| {
            !log.removed
                && log.address() == at(self.contract)
                && log.topics().get(1..) == Some(&self.topics)
                && log.topic0().is_some_and(|event| self.events.contains(event))
        };
        Ok(Some(found.into_iter().filter(is_asked).collect()))
    }

    /// Ends the walk where the blocks looked at are old enough; called when a step did not show what was looked for.
    pub(super) async fn stop_if_early(&mut self) -> Result<(), ChainError> {
        let Some(last) = self.last else { return Ok(()) };
        if self.rpc.header(last + 1).await?.timestamp() < self.earliest.get() {
            self.last = None;
        }
        Ok(())
    }
}

/// The first block that is not before `time`, or `safe`.
pub(super) async fn first_block_from(rpc: &Rpc, time: UnixSeconds, safe: Header) -> Result<u64, ChainError> {
    let (mut low, mut high) = (0, safe.number());
    while low < high {
        let middle = low + (high - low) / 2;
        if rpc.header(middle).await?.timestamp() < time.get() {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(high)
}

const SPAN: u64 = 2_000;
const SMALLEST_SPAN: u64 = 10;
const MOST_STEPS: u32 = 500;
