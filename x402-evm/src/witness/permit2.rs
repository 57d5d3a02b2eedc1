//! Which transaction used a Permit2 authorization, and what it moved.
//!
//! Permit2 says in no log which nonce was used. So every transfer from payer to recipient in the time in question is
//! looked at: the call of a proxy in its transaction names the nonce, and the proxy's own event closes the part of the
//! logs that belongs to the call. One event, one call, one transfer: so no transfer ever counts for two authorizations. A
//! transaction in which calls and events cannot be told apart pays nobody, and proves nothing either.
//!
//! A nonce that is used without such a transfer was given up or spent elsewhere. That is believed only of a nonce that
//! was used half a minute ago, so that a node which has not indexed the transfer yet is not taken for a proof.

use std::collections::HashSet;

use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::Log;
use x402_core::{
    facilitator::{Payment, Settlement, Transfer},
    price::AtomicAmount,
    scheme::Permit2,
    time::UnixSeconds,
};

use super::{
    ChainError, EvmAddress, EvmWitness, Finding, Header, MARGIN, Receipt, Trace, Walk, first_block_from,
    settlement,
};
use crate::{
    logs::{self, TRANSFER},
    rpc::{
        at,
        permit2::{ProxyCall, proxy, proxy_calls},
    },
    typed_data::word,
};

/// What a transaction with a transfer from payer to recipient has to do with the authorization.
#[derive(Clone, Debug)]
enum Reading {
    /// It settled it.
    Settled(Settlement),
    /// It settled it, up to another amount.
    OtherAmount(AtomicAmount),
    /// It used it, and the transfer is not what was asked for.
    MovedNothing,
    /// Nothing.
    Another,
    /// It may have settled it, among others.
    Unclear,
}

impl EvmWitness {
    pub(super) async fn use_of_permit2(
        &self,
        transfer: &Transfer,
        trace: &Trace,
        safe: Header,
    ) -> Result<Finding, ChainError> {
        let topics = [trace.payer, trace.to].map(|account| B256::from(word(account)));
        let bounds = self.bounds(transfer, safe).await?;
        let mut walk = Walk::new(&self.rpc, trace.token, [TRANSFER, TRANSFER], topics, bounds);
        let (mut seen, mut unclear) = (HashSet::new(), false);
        while let Some(found) = walk.next().await? {
            for transaction in found.iter().filter_map(|log| log.transaction_hash) {
                if !seen.insert(transaction) {
                    continue;
                }
                if seen.len() > MOST_TRANSFERS {
                    return Err(ChainError::Lost("too many transfers from payer to recipient"));
                }
                match self.reading(transfer, trace, transaction).await? {
                    Reading::Settled(settlement) => return Ok(Finding::Paid(settlement)),
                    Reading::OtherAmount(came) => return Ok(Finding::OtherAmount(came)),
                    Reading::MovedNothing => return Ok(Finding::SpentElsewhere),
                    Reading::Unclear => unclear = true,
                    Reading::Another => {}
                }
            }
            walk.stop_if_early().await?;
        }
        if unclear {
            return Err(ChainError::Lost(
                "the authorization may be used in a transaction that cannot be read",
            ));
        }
        let long_ago = UnixSeconds::new(safe.timestamp()).before(MARGIN);
        let block = first_block_from(&self.rpc, long_ago, safe).await?.saturating_sub(1);
        Ok(if self.used(transfer, trace, block).await? {
            Finding::SpentElsewhere
        } else {
            Finding::Unconfirmed
        })
    }

    async fn reading(
        &self,
        transfer: &Transfer,
        trace: &Trace,
        transaction: B256,
    ) -> Result<Reading, ChainError> {
        let (receipt, call) =
            tokio::try_join!(self.rpc.receipt(transaction), self.rpc.transaction(transaction))?;
        let receipt = receipt.ok_or(ChainError::Lost("receipt is not there yet"))?;
        let proxy = proxy(transfer.option.is_upto());
        Ok(trace.read(transfer, proxy, &receipt, &proxy_calls(proxy, call.target(), &call.input)))
    }
}

impl Trace {
    pub(super) fn nonce(&self, transfer: &Transfer) -> U256 {
        U256::from_be_bytes(transfer.nonce)
    }

    fn read(
        &self,
        transfer: &Transfer,
        proxy: EvmAddress,
        receipt: &Receipt,
        calls: &[ProxyCall],
    ) -> Reading {
        let parts = logs::settlements(&receipt.logs, |address| address == at(proxy));
        if parts.is_empty() || !receipt.succeeded() {
            return Reading::Another;
        }
        if parts.len() != calls.len() {
            return Reading::Unclear;
        }
        let is_ours = |call: &ProxyCall| call.owner == self.payer && call.nonce == self.nonce(transfer);
        let mut ours = calls.iter().zip(&parts).filter(|(call, _)| is_ours(call));
        let Some((call, part)) = ours.next() else { return Reading::Another };
        let parties = (self.payer, self.to);
        let right = call.token == self.token && call.to == self.to;
        let is_wanted = |log: &Log| right && logs::moves(log, self.token, parties, call.amount);
        match logs::last_transfer(part).filter(|log| is_wanted(log)) {
            Some(log) if call.amount == transfer.amount.get() => {
                let network = &transfer.option.network;
                Reading::Settled(settlement(receipt, log, network, self.payer, transfer.amount))
            }
            Some(_) => Reading::OtherAmount(AtomicAmount::new(call.amount)),
            None if parts.len() == 1 && !part.iter().any(is_wanted) => Reading::MovedNothing,
            None => Reading::Unclear,
        }
    }
}

/// The settlement that the receipt of our own transaction shows, if it shows that we were paid. It calls a proxy with this
/// nonce and nothing else, so its success is the nonce's use.
pub(crate) fn settled_through_permit2(
    receipt: &Receipt,
    message: &Permit2,
    payment: &Payment,
) -> Option<Settlement> {
    let ours = message.answers(&payment.option).is_ok() && receipt.succeeded();
    let amount = payment.amount();
    let parties = (message.owner, message.witness.to);
    let is_wanted = |log: &&Log| ours && logs::moves(log, message.token, parties, amount.get());
    let transfer = receipt.logs.iter().rev().find(is_wanted)?;
    Some(settlement(receipt, transfer, &payment.option.network, message.owner, amount))
}

/// Each one costs two reads; no honest payer has as many at one recipient within an hour and a lookback.
const MOST_TRANSFERS: usize = 500;
