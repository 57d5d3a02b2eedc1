//! Moving the money, and finding out whether it moved.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use tokio::{sync::watch, time::sleep};
use x402_core::{
    error::RejectReason,
    facilitator::{Payment, Settlement},
};

use super::{
    Inner,
    flight::{Outcome, Stage},
    prepare::{Prepared, SETTLE_MARGIN, Signed},
    verify::{Short, allowance_required},
};
use crate::{
    error::Refusal,
    revert,
    rpc::{Call, Receipt},
    submit::{Errand, Fate, Sent},
    witness::{Finding, settled, settled_through_permit2},
};

impl Inner {
    /// Settles once. Whatever this returns is all that is known; it never gives up half-way.
    pub(super) async fn settle(
        self: &Arc<Self>,
        payment: &Payment,
        stage: &Arc<watch::Sender<Stage>>,
    ) -> Outcome {
        let prepared = match self.prepare(payment) {
            Ok(prepared) => prepared,
            Err(reason) => return Refusal::from(reason).into(),
        };
        if prepared.amount.is_zero() {
            let payer = payment.authorization.payer.clone();
            return Outcome::Settled(Settlement::of_nothing(payment.option.network.clone(), payer));
        }
        if let Some(outcome) = self.sent_earlier(payment, &prepared, stage).await {
            return outcome;
        }
        let (ready, may_share) =
            tokio::join!(self.ready(payment, &prepared), self.may_share(payment, &prepared));
        match ready {
            Ok(Ready::Send(call)) => match may_share {
                Some(batching) if call.to == prepared.token => {
                    self.send_together(payment, &prepared, call, batching, stage).await
                }
                _ => self.send_alone(payment, &prepared, call, stage).await,
            },
            Ok(Ready::Over(outcome)) => outcome,
            Err(refusal) => refusal.into(),
        }
    }

    /// Sends in a transaction of its own.
    pub(super) async fn send_alone(
        &self,
        payment: &Payment,
        prepared: &Prepared<'_>,
        call: Call,
        stage: &watch::Sender<Stage>,
    ) -> Outcome {
        let errand = Errand {
            payments: vec![payment.authorization.key],
            chain_id: prepared.chain_id,
            call,
            max_fee_per_gas: self.options.max_fee_per_gas,
            journal: self.options.journal.clone(),
        };
        match self.sender.send(errand).await {
            Ok(sent) => self.follow(payment, prepared, sent, stage).await,
            Err(error) => Outcome::Unavailable(error),
        }
    }

    /// What a transaction in the journal led to, if it led anywhere.
    async fn sent_earlier(
        &self,
        payment: &Payment,
        prepared: &Prepared<'_>,
        stage: &watch::Sender<Stage>,
    ) -> Option<Outcome> {
        let entries = self.options.journal.find(&payment.authorization.key);
        let last = B256::from(entries.last()?.transaction);
        let mut known = Vec::new();
        for entry in &entries {
            match self.rpc.knows(B256::from(entry.transaction)).await {
                Ok(true) => known.push(*entry),
                Ok(false) => {}
                // It may be on its way: that the node cannot be asked does not make it unsent.
                Err(error) => {
                    tracing::debug!(%error, "an earlier transaction cannot be looked for yet");
                    let why = "an earlier transaction cannot be looked for";
                    return Some(Outcome::Unresolved { transaction: Some(last), why });
                }
            }
        }
        // The last time with its replacements: it was sent again, alone, after the batch before it had been mined and had left
        // it as it was.
        let nonce = known.last()?.account_nonce;
        known.retain(|entry| entry.account_nonce == nonce);
        let known: Vec<_> = known.iter().map(|entry| B256::from(entry.transaction)).collect();
        let last = *known.last()?;
        stage.send_replace(Stage::Sent(last));
        let receipt = self.sender.watch_earlier(&known, self.options.confirmations, EARLIER_WITHIN).await;
        match receipt {
            // What paid somebody else, or another amount, was signed by the same payer with the same nonce.
            Some(receipt) if receipt.succeeded() => Some(match paid(&receipt, prepared, payment) {
                Some(settlement) => Outcome::Settled(settlement),
                // It may have failed among others, and is then as good as unsent.
                None if receipt.is_aggregate() => return None,
                None => self.look_up(payment, Ours::NotSent).await,
            }),
            // It reverted: nothing is on its way, so settling again is as good as the first time.
            Some(_) => None,
            None => Some(Outcome::Unresolved {
                transaction: Some(last),
                why: "an earlier transaction is not mined",
            }),
        }
    }

    /// Everything that must be known before sending, asked at once. An authorization that was used is looked up
    /// instead: it may have paid us already.
    pub(super) async fn ready(&self, payment: &Payment, prepared: &Prepared<'_>) -> Result<Ready, Refusal> {
        let now = self.options.clock.now();
        let fees = self.sender.ready(self.options.max_fee_per_gas);
        let call = async {
            let call = self.settlement_call(prepared, false).await?;
            let gas = self.rpc.estimate_gas(&call).await;
            Ok::<_, Refusal>((call, gas))
        };
        let (facts, used, fees, call) =
            tokio::join!(self.check_facts(prepared), self.is_used(prepared), fees, call);
        facts?;
        if used? {
            return Ok(Ready::Over(self.look_up(payment, Ours::NotSent).await));
        }
        if let Err(reason) = prepared.in_time(now, SETTLE_MARGIN) {
            return self.too_late(payment, reason).await;
        }
        fees?;
        let (call, gas) = call?;
        match gas {
            Ok(gas) => with_margin(call, gas).map(Ready::Send),
            Err(error) => match revert::refusal(error, &prepared.signed, now) {
                // Somebody else settled it between the two reads.
                Refusal::Rejected(RejectReason::NonceAlreadyUsed) => {
                    Ok(Ready::Over(self.look_up(payment, Ours::NotSent).await))
                }
                Refusal::Rejected(RejectReason::SimulationFailed)
                    if matches!(prepared.signed, Signed::Permit2 { .. }) =>
                {
                    Err(self.explained(prepared).await?.into())
                }
                Refusal::Rejected(reason) => self.too_late(payment, reason).await,
                refusal => Err(refusal),
            },
        }
    }

    /// Why Permit2 could not move the tokens, which it does not say itself.
    async fn explained(&self, prepared: &Prepared<'_>) -> Result<RejectReason, Refusal> {
        Ok(match self.check_funds(prepared).await?.short_of {
            Some(Short::OfFunds) => RejectReason::InsufficientFunds,
            Some(Short::OfAllowance) => allowance_required(),
            None => RejectReason::SimulationFailed,
        })
    }

    /// "Expired" sends a payer to sign again, so it is said only when blocks are past the authorization's end; by
    /// our clock alone, the reason is the same and the authorization not yet dead.
    async fn too_late(&self, payment: &Payment, reason: RejectReason) -> Result<Ready, Refusal> {
        if !reason.is_dead() {
            return Err(reason.into());
        }
        match self.witness().finding(payment).await? {
            Finding::Open { .. } => Err(RejectReason::Other(reason.code().to_owned().into()).into()),
            Finding::Paid(settlement) => Ok(Ready::Over(Outcome::Settled(settlement))),
            Finding::Expired { valid_before, block_time } => {
                Err(RejectReason::Expired { valid_before, now: block_time }.into())
            }
            Finding::SpentElsewhere | Finding::OtherAmount(_) => Err(RejectReason::NonceAlreadyUsed.into()),
            Finding::Unconfirmed => Ok(Ready::Over(self.look_up(payment, Ours::NotSent).await)),
        }
    }

    async fn follow(
        &self,
        payment: &Payment,
        prepared: &Prepared<'_>,
        mut sent: Sent,
        stage: &watch::Sender<Stage>,
    ) -> Outcome {
        let tell = |hash| {
            stage.send_replace(Stage::Sent(hash));
        };
        tell(sent.hash());
        match self.sender.watch(&mut sent, self.patience(), tell).await {
            Fate::Mined(receipt) => self.judge(payment, prepared, &receipt).await,
            Fate::Overtaken => self.look_up(payment, Ours::Overtaken(sent.hash())).await,
            Fate::Lost => Outcome::Unresolved { transaction: Some(sent.hash()), why: "no receipt" },
        }
    }

    /// What a mined transaction means: the token's `Transfer` and nothing else is payment.
    async fn judge(&self, payment: &Payment, prepared: &Prepared<'_>, receipt: &Receipt) -> Outcome {
        if let Some(settlement) = paid(receipt, prepared, payment) {
            return Outcome::Settled(settlement);
        }
        if receipt.succeeded() && matches!(prepared.signed, Signed::Permit2 { .. }) {
            // It used the nonce, or it would have reverted.
            return moved_nothing(receipt, prepared);
        }
        // Somebody else may have used the authorization first, and we were paid all the same.
        let ours = Ours::Mined(receipt.transaction_hash, receipt.block());
        match self.look_up(payment, ours).await {
            Outcome::Rejected { .. } if receipt.succeeded() => moved_nothing(receipt, prepared),
            outcome => outcome,
        }
    }

    /// Asks the chain what became of the authorization, until what it shows has the confirmations.
    pub(super) async fn look_up(&self, payment: &Payment, ours: Ours) -> Outcome {
        let transaction = ours.transaction();
        let rejected = |reason| Outcome::Rejected { reason, transaction };
        let witness = self.witness();
        for _ in 0..ours.look_ups() {
            match witness.finding(payment).await {
                Ok(Finding::Paid(settlement)) => return Outcome::Settled(settlement),
                Ok(Finding::SpentElsewhere | Finding::OtherAmount(_)) => {
                    return rejected(RejectReason::NonceAlreadyUsed);
                }
                Ok(Finding::Expired { valid_before, block_time }) => {
                    return rejected(RejectReason::Expired { valid_before, now: block_time });
                }
                // A node that has not come to our transaction's block knows nothing of what was before it there.
                Ok(Finding::Open { block }) if matches!(ours, Ours::Mined(_, at) if at <= block) => {
                    return rejected(RejectReason::TransferFailed);
                }
                Err(Refusal::Rejected(reason)) => return rejected(reason),
                // Used a moment ago, by nodes that do not agree yet; or without the confirmations.
                Ok(Finding::Open { .. } | Finding::Unconfirmed) => {}
                Err(Refusal::Chain(error)) => {
                    tracing::debug!(%error, "outcome of a settlement cannot be read yet")
                }
            }
            sleep(LOOK_UP_EVERY).await;
        }
        Outcome::Unresolved { transaction, why: "what became of the authorization is not clear yet" }
    }
}

/// What became of our own transaction, where it did not pay.
#[derive(Clone, Copy)]
pub(super) enum Ours {
    NotSent,
    /// It is in this block.
    Mined(B256, u64),
    /// Its nonce is used, and no receipt of it is to be had.
    Overtaken(B256),
}

impl Ours {
    const fn transaction(self) -> Option<B256> {
        match self {
            Self::NotSent => None,
            Self::Mined(hash, _) | Self::Overtaken(hash) => Some(hash),
        }
    }

    const fn look_ups(self) -> u32 {
        match self {
            Self::NotSent | Self::Mined(..) => LOOK_UPS,
            Self::Overtaken(_) => OVERTAKEN_LOOK_UPS,
        }
    }
}

/// What is left to be done of a settlement.
pub(super) enum Ready {
    Send(Call),
    Over(Outcome),
}

/// The settlement that the receipt of a transaction of ours shows, if it shows that we were paid.
pub(super) fn paid(receipt: &Receipt, prepared: &Prepared<'_>, payment: &Payment) -> Option<Settlement> {
    match prepared.signed {
        Signed::Eip3009 { message, .. } => settled(receipt, prepared.token, message, &payment.option),
        Signed::Permit2 { message, .. } => settled_through_permit2(receipt, message, payment),
    }
}

/// A transaction of ours that succeeded, and did not move what it should have.
pub(super) fn moved_nothing(receipt: &Receipt, prepared: &Prepared<'_>) -> Outcome {
    tracing::error!(
        transaction = %receipt.transaction_hash,
        token = %prepared.token,
        "settlement succeeded without moving the money asked for; stop offering this token",
    );
    let transaction = Some(receipt.transaction_hash);
    Outcome::Rejected { reason: RejectReason::TransferMissing, transaction }
}

/// A quarter more than estimated, within what such a call may burn.
fn with_margin(mut call: Call, estimate: u64) -> Result<Call, Refusal> {
    if estimate > call.gas_limit {
        tracing::warn!(estimate, limit = call.gas_limit, "settlement would burn too much gas");
        return Err(RejectReason::SimulationFailed.into());
    }
    call.gas_limit = call.gas_limit.min(estimate.saturating_add(estimate / 4));
    Ok(call)
}

const EARLIER_WITHIN: Duration = Duration::from_secs(60);
const LOOK_UP_EVERY: Duration = Duration::from_millis(500);
/// About ten minutes: as long as a settlement may take to be confirmed on a slow day.
const LOOK_UPS: u32 = 1_200;
/// Long enough for nodes to agree; after that it is unresolved, and settling again sends again.
const OVERTAKEN_LOOK_UPS: u32 = 60;
