//! What became of an authorization, read from the chain.
//!
//! First the token's `authorizationState`, at the newest block that has the configured confirmations. A used
//! authorization left an `AuthorizationUsed` or `AuthorizationCanceled` log; its transaction shows whether our
//! transfer was in it. An unused one is dead once a block with those confirmations is past its end.
//!
//! # How far back logs are searched
//! From the head, or from the authorization's end if that is long past, down to [`lookback`](EvmWitness::lookback)
//! before the authorization's end: this server takes no authorization that ends later than that after it was
//! presented (one hour by default), so an older use was not ours and its payment never counts.

use std::time::Duration;

use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::Log;
use x402_core::{
    error::{ConfigError, RejectReason},
    facilitator::{BoxFuture, Evidence, Payment, Settlement, Transfer, VerifyError, Witness},
    price::PriceOption,
    scheme::{Eip3009, EvmAddress},
    time::UnixSeconds,
};

use crate::{
    error::{ChainError, Refusal},
    exact::eip3009,
    hex,
    logs::{self, CANCELED, USED},
    network::Domain,
    rpc::{Header, Receipt, Rpc, at},
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
        self.look(&payment.option, eip3009(&payment.authorization)?).await
    }

    async fn look(&self, option: &PriceOption, message: &Eip3009) -> Result<Finding, Refusal> {
        let domain = Domain::of(option)?;
        self.rpc.is_on(domain.chain_id).await?;
        Ok(self.search(option, message, domain.token).await?)
    }

    async fn search(
        &self,
        option: &PriceOption,
        message: &Eip3009,
        token: EvmAddress,
    ) -> Result<Finding, ChainError> {
        let head = self.rpc.head().await?;
        let safe = match self.confirmations {
            0 | 1 => head,
            blocks => self.rpc.header(head.number().saturating_sub(blocks - 1)).await?,
        };
        if !self.rpc.authorization_used(token, message, Some(safe.number())).await? {
            return self.unused(message, token, safe, head).await;
        }
        let log = self.log_of_use(message, token, safe).await?;
        // Nodes behind one address do not always agree: what one has not indexed yet is no proof of anything.
        let log = log.ok_or(ChainError::Lost("the log of the authorization's use is not there"))?;
        let (USED, Some(transaction)) = (log.topics()[0], log.transaction_hash) else {
            return Ok(Finding::SpentElsewhere);
        };
        let receipt =
            self.rpc.receipt(transaction).await?.ok_or(ChainError::Lost("receipt is not there yet"))?;
        Ok(match settled(&receipt, token, message, option) {
            Some(settlement) => Finding::Paid(settlement),
            None => Finding::SpentElsewhere,
        })
    }

    async fn unused(
        &self,
        message: &Eip3009,
        token: EvmAddress,
        safe: Header,
        head: Header,
    ) -> Result<Finding, ChainError> {
        if safe.number() != head.number()
            && self.rpc.authorization_used(token, message, Some(head.number())).await?
        {
            return Ok(Finding::Unconfirmed);
        }
        let valid_before = seconds(message.valid_before);
        let block_time = UnixSeconds::new(safe.timestamp());
        let over = valid_before.after(EXPIRY_MARGIN) <= block_time;
        let block = safe.number();
        Ok(if over { Finding::Expired { valid_before, block_time } } else { Finding::Open { block } })
    }

    /// Walks back in steps until the log is found or the time is reached before which it cannot matter.
    async fn log_of_use(
        &self,
        message: &Eip3009,
        token: EvmAddress,
        safe: Header,
    ) -> Result<Option<Log>, ChainError> {
        let end = seconds(message.valid_before);
        let earliest = end.before(self.lookback).max(seconds(message.valid_after));
        let mut last = match safe.timestamp() > end.after(LOOKBACK).get() {
            true => self.first_block_from(end, safe).await?,
            false => safe.number(),
        };
        let mut span = SPAN;
        for _ in 0..MOST_STEPS {
            let first = last.saturating_sub(span - 1);
            let topics = [B256::from(crate::typed_data::word(message.from)), B256::from(message.nonce)];
            match self.rpc.logs(token, [USED, CANCELED], topics, (first, last)).await {
                Ok(found) => {
                    // Some nodes are careless with filters.
                    let is_ours = |log: &Log| {
                        !log.removed && log.address() == at(token) && log.topics().get(1..) == Some(&topics)
                    };
                    if let Some(log) = found.into_iter().find(is_ours) {
                        return Ok(Some(log));
                    }
                }
                // Providers limit the range, each differently.
                Err(ChainError::Refused { .. }) if span > SMALLEST_SPAN => {
                    span = (span / 4).max(SMALLEST_SPAN);
                    continue;
                }
                Err(error) => return Err(error),
            }
            if first == 0 || self.rpc.header(first).await?.timestamp() < earliest.get() {
                return Ok(None);
            }
            last = first - 1;
        }
        Err(ChainError::Lost("the use of the authorization is too far back in the chain"))
    }

    /// The first block that is not before `time`, or `safe`.
    async fn first_block_from(&self, time: UnixSeconds, safe: Header) -> Result<u64, ChainError> {
        let (mut low, mut high) = (0, safe.number());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.rpc.header(middle).await?.timestamp() < time.get() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(high)
    }
}

impl Witness for EvmWitness {
    fn evidence<'a>(&'a self, transfer: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>> {
        Box::pin(async move {
            let message = unsigned(transfer).map_err(Refusal::Rejected)?;
            Ok(match self.look(&transfer.option, &message).await? {
                Finding::Paid(settlement) => Evidence::Settled(settlement),
                Finding::SpentElsewhere => Evidence::Dead(RejectReason::NonceAlreadyUsed),
                Finding::Expired { valid_before, block_time } => {
                    Evidence::Dead(RejectReason::Expired { valid_before, now: block_time })
                }
                Finding::Unconfirmed | Finding::Open { .. } => Evidence::StillPossible,
            })
        })
    }
}

/// The settlement that a receipt shows, if it shows that we were paid.
pub(crate) fn settled(
    receipt: &Receipt,
    token: EvmAddress,
    message: &Eip3009,
    option: &PriceOption,
) -> Option<Settlement> {
    let ours = option.pay_to.parse() == Ok(message.to) && message.value == option.amount.get();
    let transfer = logs::paid(&receipt.logs, token, message).filter(|_| ours && receipt.succeeded())?;
    let mut settlement = Settlement::new(
        hex::prefixed(receipt.transaction_hash.as_slice()),
        option.network.clone(),
        message.from.to_string(),
        option.amount,
    );
    (settlement.log_index, settlement.block) = (transfer.log_index, transfer.block_number);
    Some(settlement)
}

/// What was signed, without the signature: enough to look for its use.
fn unsigned(transfer: &Transfer) -> Result<Eip3009, RejectReason> {
    let address = |text: &str| text.parse().map_err(|_| RejectReason::UnsupportedScheme);
    Ok(Eip3009 {
        from: address(&transfer.payer)?,
        to: address(&transfer.option.pay_to)?,
        value: transfer.option.amount.get(),
        valid_after: U256::ZERO,
        valid_before: U256::from(transfer.valid_before.get()),
        nonce: transfer.nonce,
        signature: Vec::new(),
    })
}

fn seconds(value: U256) -> UnixSeconds {
    u64::try_from(value).map_or(UnixSeconds::MAX, UnixSeconds::new)
}

/// The longest window that the engine takes by default, and ten minutes for clocks and blocks.
const LOOKBACK: Duration = Duration::from_secs(70 * 60);
/// Blocks this long after an authorization's end: a short reorganisation cannot bring back one before it.
const EXPIRY_MARGIN: Duration = Duration::from_secs(30);
const SPAN: u64 = 2_000;
const SMALLEST_SPAN: u64 = 10;
const MOST_STEPS: u32 = 500;
