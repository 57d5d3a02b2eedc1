//! What became of an authorization, read from the chain.
//!
//! First whether the authorization was used, by the token's `authorizationState` or Permit2's `nonceBitmap`, at the newest
//! block that has the configured confirmations. An unused one is dead once a block with those confirmations is past its
//! end. For a used one the transaction is looked for that used it: [EIP-3009](eip3009) names the authorization in a log,
//! [Permit2](permit2) does not.
//!
//! # How far back logs are searched
//! From the head, or from the authorization's end if that is long past, down to [`lookback`](EvmWitness::lookback)
//! before the authorization's end: this server takes no authorization that ends later than that after it was
//! presented (one hour by default), so an older use was not ours and its payment never counts.

mod eip3009;
mod permit2;
mod walk;

use std::time::Duration;

use alloy_rpc_types_eth::Log;
use x402_core::{
    error::{ConfigError, RejectReason},
    facilitator::{BoxFuture, Evidence, Payment, Settlement, Transfer, VerifyError, Witness},
    price::{AtomicAmount, NetworkId, TransferMethod},
    scheme::{Eip3009, EvmAddress},
    time::UnixSeconds,
};

use self::walk::{Walk, first_block_from};
pub(crate) use self::{eip3009::settled, permit2::settled_through_permit2};
use crate::{
    error::{ChainError, Refusal},
    hex,
    rpc::{Header, Receipt, Rpc},
};

/// Tells from the chain what became of a payment. Sends nothing and needs no key.
///
/// With a remote facilitator it is what resolves an answer that was lost.
#[derive(Clone, Debug)]
pub struct EvmWitness {
    rpc: Rpc,
    confirmations: u64,
    lookback: Duration,
}

/// What the chain shows of an authorization.
#[derive(Clone, Debug)]
pub(crate) enum Finding {
    /// Used, and our transfer is in the same transaction.
    Paid(Settlement),
    /// Used or cancelled without paying us.
    SpentElsewhere,
    /// Used up to another amount than was to move: this much came.
    OtherAmount(AtomicAmount),
    /// Used at the head, without the confirmations yet.
    Unconfirmed,
    /// Unused, and over.
    Expired { valid_before: UnixSeconds, block_time: UnixSeconds },
    /// Unused as of this block, the newest that has the confirmations.
    Open { block: u64 },
}

impl EvmWitness {
    /// A witness at a node: `https`, or `http` on this machine.
    ///
    /// # Errors
    /// [`ConfigError`] that never quotes the URL.
    pub fn new(rpc_url: &str) -> Result<Self, ConfigError> {
        Ok(Self::over(Rpc::new(rpc_url)?, 1))
    }

    pub(crate) const fn over(rpc: Rpc, confirmations: u64) -> Self {
        Self { rpc, confirmations, lookback: LOOKBACK }
    }

    /// Blocks a transfer must have behind it, its own counted. Default 1.
    #[must_use]
    pub fn confirmations(mut self, blocks: u64) -> Self {
        self.confirmations = blocks;
        self
    }

    /// How long before an authorization's end its use is searched for: at least the longest window that the
    /// server takes. Default 70 minutes.
    #[must_use]
    pub fn lookback(mut self, time: Duration) -> Self {
        self.lookback = time;
        self
    }

    pub(crate) async fn finding(&self, payment: &Payment) -> Result<Finding, Refusal> {
        self.look(&Transfer::from(payment)).await
    }

    async fn look(&self, transfer: &Transfer) -> Result<Finding, Refusal> {
        let trace = Trace::of(transfer)?;
        self.rpc.is_on(trace.chain_id).await?;
        Ok(self.search(transfer, &trace).await?)
    }

    async fn search(&self, transfer: &Transfer, trace: &Trace) -> Result<Finding, ChainError> {
        let head = self.rpc.head().await?;
        let safe = match self.confirmations {
            0 | 1 => head,
            blocks => self.rpc.header(head.number().saturating_sub(blocks - 1)).await?,
        };
        if !self.used(transfer, trace, safe.number()).await? {
            return self.unused(transfer, trace, safe, head).await;
        }
        match trace.method {
            Method::Eip3009 => self.use_of_eip3009(transfer, trace, safe).await,
            Method::Permit2 => self.use_of_permit2(transfer, trace, safe).await,
        }
    }

    /// Whether the authorization was used or taken back, as of a block.
    async fn used(&self, transfer: &Transfer, trace: &Trace, block: u64) -> Result<bool, ChainError> {
        match trace.method {
            Method::Eip3009 => {
                let nonce = &transfer.nonce;
                self.rpc.authorization_used(trace.token, trace.payer, nonce, Some(block)).await
            }
            Method::Permit2 => {
                self.rpc.permit2_nonce_used(trace.payer, trace.nonce(transfer), Some(block)).await
            }
        }
    }

    async fn unused(
        &self,
        transfer: &Transfer,
        trace: &Trace,
        safe: Header,
        head: Header,
    ) -> Result<Finding, ChainError> {
        if safe.number() != head.number() && self.used(transfer, trace, head.number()).await? {
            return Ok(Finding::Unconfirmed);
        }
        let valid_before = transfer.valid_before;
        let block_time = UnixSeconds::new(safe.timestamp());
        let over = valid_before.after(MARGIN) <= block_time;
        let block = safe.number();
        Ok(if over { Finding::Expired { valid_before, block_time } } else { Finding::Open { block } })
    }

    /// Where to begin and to end a search for the use of an authorization: from the head, or from its end if that is long
    /// past, back to the lookback before its end.
    async fn bounds(&self, transfer: &Transfer, safe: Header) -> Result<(UnixSeconds, u64), ChainError> {
        let end = transfer.valid_before;
        let last = match safe.timestamp() > end.after(LOOKBACK).get() {
            true => first_block_from(&self.rpc, end, safe).await?,
            false => safe.number(),
        };
        Ok((end.before(self.lookback), last))
    }
}

/// What a transfer looks like on an EVM chain.
#[derive(Clone, Copy, Debug)]
struct Trace {
    chain_id: u64,
    token: EvmAddress,
    payer: EvmAddress,
    to: EvmAddress,
    method: Method,
}

/// Who keeps the nonce.
#[derive(Clone, Copy, Debug)]
enum Method {
    Eip3009,
    Permit2,
}

impl Trace {
    fn of(transfer: &Transfer) -> Result<Self, RejectReason> {
        let unsupported = RejectReason::UnsupportedScheme;
        let address = |text: &str| text.parse().map_err(|_| RejectReason::UnsupportedScheme);
        let option = &transfer.option;
        Ok(Self {
            chain_id: option.network.chain_id().ok_or(unsupported)?,
            token: address(&option.asset)?,
            payer: address(&transfer.payer)?,
            to: address(&option.pay_to)?,
            method: match option.transfer_method() {
                TransferMethod::Eip3009 => Method::Eip3009,
                TransferMethod::Permit2 => Method::Permit2,
                _ => return Err(RejectReason::UnsupportedScheme),
            },
        })
    }
}

impl Witness for EvmWitness {
    fn evidence<'a>(&'a self, transfer: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>> {
        Box::pin(async move {
            Ok(match self.look(transfer).await? {
                Finding::Paid(settlement) => Evidence::Settled(settlement),
                Finding::SpentElsewhere => Evidence::Dead(RejectReason::NonceAlreadyUsed),
                Finding::Expired { valid_before, block_time } => {
                    Evidence::Dead(RejectReason::Expired { valid_before, now: block_time })
                }
                Finding::Unconfirmed | Finding::Open { .. } => Evidence::StillPossible,
                Finding::OtherAmount(came) => {
                    // Neither paid as agreed nor unpaid: no payer is to sign again, and an operator has to look.
                    tracing::error!(wanted = %transfer.amount, %came, "authorization paid another amount than was asked");
                    let unclear = ChainError::Lost("the authorization paid another amount than was asked");
                    return Err(unclear.into());
                }
            })
        })
    }
}

/// The settlement that a log of a successful transaction shows.
fn settlement(
    receipt: &Receipt,
    transfer: &Log,
    network: &NetworkId,
    payer: EvmAddress,
    amount: AtomicAmount,
) -> Settlement {
    let hash = hex::prefixed(receipt.transaction_hash.as_slice());
    let mut settlement = Settlement::new(hash, network.clone(), payer.to_string(), amount);
    (settlement.log_index, settlement.block) = (transfer.log_index, transfer.block_number);
    settlement
}

/// The longest window that the engine takes by default, and ten minutes for clocks and blocks.
const LOOKBACK: Duration = Duration::from_secs(70 * 60);
/// Blocks this long after something: a short reorganisation cannot bring back one before it, and every node knows it.
const MARGIN: Duration = Duration::from_secs(30);
