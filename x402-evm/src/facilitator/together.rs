//! Many authorizations in one transaction, each with an outcome of its own.
//!
//! Who settles hands in a call and waits. The first one in opens a batch and has a task wait for the window; the task
//! sends, watches, and tells everybody in it. What the transaction means for one authorization is found out by whom
//! it belongs to, from the logs and then from the chain: what was neither paid nor used goes again, alone.

use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::B256;
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot, watch,
    },
    time::{Instant, timeout_at},
};
use x402_core::{
    error::RejectReason,
    facilitator::Payment,
    price::{self, TransferMethod},
    scheme::{EvmAddress, PaymentKey, Proof},
};

use super::{
    Inner,
    flight::{Outcome, Stage},
    prepare::{Prepared, SETTLE_MARGIN, Signed},
    settle::{Ours, Ready, moved_nothing, paid},
};
use crate::{
    error::ChainError,
    logs,
    rpc::{
        Call, Receipt,
        abi::{self, MULTICALL3},
    },
    submit::{Batching, Errand, Fate, Load, Manifest, gas_of},
};

/// The batch that still takes settlements, if there is one.
#[derive(Debug, Default)]
pub(super) struct Batches(Mutex<Option<Open>>);

#[derive(Debug)]
struct Open {
    manifest: Manifest,
    aboard: Vec<PaymentKey>,
    boarding: UnboundedSender<Passenger>,
}

/// One settlement in a batch.
struct Passenger {
    payment: PaymentKey,
    payer: EvmAddress,
    chain_id: u64,
    call: Call,
    stage: Arc<watch::Sender<Stage>>,
    end: oneshot::Sender<Ride>,
}

/// What became of a batch, as one of those in it hears it.
enum Ride {
    /// Nothing was sent, and this one may go alone.
    Alone(Call),
    /// Nothing was sent.
    NotSent(ChainError),
    /// This transaction, or the last of its replacements, was sent.
    Sent(B256, Fate),
}

impl Batches {
    /// Takes a settlement into the open batch, or opens one; then `depart` gets who comes until when.
    fn board(
        &self,
        mut passenger: Passenger,
        batching: Batching,
        now: Instant,
        depart: impl FnOnce(UnboundedReceiver<Passenger>, Instant),
    ) {
        let load = Load { bytes: passenger.call.data.len(), gas: passenger.call.gas_limit };
        let payment = passenger.payment;
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // With one nonce somebody signed two transfers: which of them a transaction's events are of, they do not say.
        if open.as_ref().is_some_and(|open| open.aboard.contains(&payment)) {
            return passenger.go_alone();
        }
        if let Some(Open { manifest, aboard, boarding }) = &mut *open
            && manifest.admits(load, now)
        {
            match boarding.send(passenger) {
                Ok(()) => {
                    manifest.add(load);
                    aboard.push(payment);
                    if manifest.is_full() {
                        *open = None;
                    }
                    return;
                }
                Err(left_already) => passenger = left_already.0,
            }
        }
        let manifest = Manifest::begin(batching, now, load);
        let (boarding, boarded) = unbounded_channel();
        if boarding.send(passenger).is_ok() {
            // The one before leaves now: nobody can send to it any more.
            *open = Some(Open { manifest, aboard: vec![payment], boarding });
            depart(boarded, manifest.closes());
        }
    }
}

impl Inner {
    /// How a settlement may share a transaction, if it may. Only tokens that are known: of two transfers in one transaction
    /// each must stand by its own authorization's event. And only while there is time to wait for others.
    pub(super) async fn may_share(&self, payment: &Payment, prepared: &Prepared<'_>) -> Option<Batching> {
        let batching = self.options.batching?;
        let option = &payment.option;
        let is_known = || {
            let token = price::token(&option.network, &option.asset);
            token.is_some_and(|token| token.transfer_method == TransferMethod::Eip3009)
        };
        let is_plain = matches!(prepared.signed, Signed::Eip3009 { .. }) && prepared.proof == Proof::Signed;
        let can_wait = || {
            let margin = SETTLE_MARGIN.saturating_add(batching.window);
            prepared.in_time(self.options.clock.now(), margin).is_ok()
        };
        if !is_plain || !is_known() || !can_wait() {
            return None;
        }
        matches!(self.facts.has_code(&self.rpc, MULTICALL3).await, Ok(true)).then_some(batching)
    }

    /// Sends with the others that come within the window.
    pub(super) async fn send_together(
        self: &Arc<Self>,
        payment: &Payment,
        prepared: &Prepared<'_>,
        call: Call,
        batching: Batching,
        stage: &Arc<watch::Sender<Stage>>,
    ) -> Outcome {
        let (end, ended) = oneshot::channel();
        let passenger = Passenger {
            payment: payment.authorization.key,
            payer: prepared.payer(),
            chain_id: prepared.chain_id,
            call,
            stage: Arc::clone(stage),
            end,
        };
        self.batches.board(passenger, batching, Instant::now(), |boarded, closes| {
            tokio::spawn(Arc::clone(self).carry(boarded, closes));
        });
        match ended.await {
            Ok(Ride::Alone(call)) => self.send_alone(payment, prepared, call, stage).await,
            Ok(Ride::NotSent(error)) => Outcome::Unavailable(error),
            Ok(Ride::Sent(_, Fate::Mined(receipt))) => {
                let transaction = receipt.transaction_hash;
                match self.judge_shared(payment, prepared, &receipt).await {
                    Some(outcome) => outcome,
                    None => self.send_again(payment, prepared, stage, transaction).await,
                }
            }
            Ok(Ride::Sent(hash, Fate::Overtaken)) => self.look_up(payment, Ours::Overtaken(hash)).await,
            Ok(Ride::Sent(hash, Fate::Lost)) => {
                Outcome::Unresolved { transaction: Some(hash), why: "no receipt" }
            }
            // Whoever carried it is gone, and with it whether it was sent.
            Err(_) => {
                let transaction = match *stage.borrow() {
                    Stage::Sent(hash) => Some(hash),
                    _ => None,
                };
                Outcome::Unresolved { transaction, why: "the batch it was in was given up" }
            }
        }
    }

    /// Waits for a batch's passengers, sends them, and tells all of them what came of it.
    async fn carry(self: Arc<Self>, boarded: UnboundedReceiver<Passenger>, closes: Instant) {
        let mut passengers = self.without_code(gather(boarded, closes).await).await;
        if passengers.len() < 2 {
            passengers.into_iter().for_each(Passenger::go_alone);
            return;
        }
        let mut sent = match self.sender.send(self.errand_of(&passengers)).await {
            Ok(sent) => sent,
            Err(error) => {
                tracing::warn!(%error, settlements = passengers.len(), "batch of settlements not sent");
                // For the node or the gas account: alone each may be small enough.
                let too_big = matches!(error, ChainError::TooBig | ChainError::Gas(_));
                for passenger in passengers {
                    match too_big {
                        true => passenger.go_alone(),
                        false => passenger.ends(Ride::NotSent(error.clone())),
                    }
                }
                return;
            }
        };
        let tell = |hash| {
            for passenger in &passengers {
                passenger.stage.send_replace(Stage::Sent(hash));
            }
        };
        tell(sent.hash());
        tracing::debug!(transaction = %sent.hash(), settlements = passengers.len(), "settlements sent together");
        let fate = self.sender.watch(&mut sent, self.patience(), tell).await;
        let hash = sent.hash();
        passengers.drain(..).for_each(|passenger| passenger.ends(Ride::Sent(hash, fate.clone())));
    }

    /// Has those go alone whose payers have code: it could burn what is there for all. Any account can get some at any time,
    /// so this is asked last.
    async fn without_code(&self, passengers: Vec<Passenger>) -> Vec<Passenger> {
        let look = |passenger: Passenger| {
            let rpc = self.rpc.clone();
            tokio::spawn(async move {
                let is_plain = matches!(rpc.has_code(passenger.payer).await, Ok(false));
                if is_plain {
                    return Some(passenger);
                }
                passenger.go_alone();
                None
            })
        };
        let looks: Vec<_> = passengers.into_iter().map(look).collect();
        let mut plain = Vec::new();
        for look in looks {
            // Whoever was lost with a look that broke off is told so by the end of its channel.
            plain.extend(look.await.ok().flatten());
        }
        plain
    }

    fn errand_of(&self, passengers: &[Passenger]) -> Errand {
        let calls = passengers.iter().map(|passenger| (passenger.call.to, &passenger.call.data[..], true));
        let call = Call {
            from: self.sender.key().address(),
            to: MULTICALL3,
            data: abi::aggregate(&calls.collect::<Vec<_>>()),
            gas_limit: gas_of(passengers.iter().map(|passenger| passenger.call.gas_limit)),
        };
        Errand {
            payments: passengers.iter().map(|passenger| passenger.payment).collect(),
            // The node's own: each was compared with it.
            chain_id: passengers[0].chain_id,
            call,
            max_fee_per_gas: self.options.max_fee_per_gas,
            journal: self.options.journal.clone(),
        }
    }

    /// What a mined batch means for one authorization in it; `None` where it did nothing to it.
    async fn judge_shared(
        &self,
        payment: &Payment,
        prepared: &Prepared<'_>,
        receipt: &Receipt,
    ) -> Option<Outcome> {
        if let Some(settlement) = paid(receipt, prepared, payment) {
            return Some(Outcome::Settled(settlement));
        }
        if let Signed::Eip3009 { message, .. } = prepared.signed
            && logs::used(&receipt.logs, prepared.token, message)
        {
            return Some(moved_nothing(receipt, prepared));
        }
        // Somebody else may have used it first, and we were paid all the same.
        match self.look_up(payment, Ours::Mined(receipt.transaction_hash, receipt.block())).await {
            Outcome::Rejected { reason: RejectReason::TransferFailed, .. } => None,
            outcome => Some(outcome),
        }
    }

    /// Settles alone what a batch left as it was, or tells why it cannot be.
    async fn send_again(
        &self,
        payment: &Payment,
        prepared: &Prepared<'_>,
        stage: &watch::Sender<Stage>,
        batch: B256,
    ) -> Outcome {
        let outcome = match self.ready(payment, prepared).await {
            Ok(Ready::Send(call)) => self.send_alone(payment, prepared, call, stage).await,
            Ok(Ready::Over(outcome)) => outcome,
            Err(refusal) => refusal.into(),
        };
        match outcome {
            Outcome::Rejected { reason, transaction: None } => {
                tracing::debug!(transaction = %batch, %reason, "settlement failed among others");
                Outcome::Rejected { reason, transaction: Some(batch) }
            }
            Outcome::Unresolved { transaction: None, why } => {
                Outcome::Unresolved { transaction: Some(batch), why }
            }
            // Something was sent for it, so that trouble now is no certainty.
            Outcome::Unavailable(error) => {
                tracing::warn!(transaction = %batch, %error, "settlement that failed among others not sent again");
                let why = "it failed among others, and could not be sent again";
                Outcome::Unresolved { transaction: Some(batch), why }
            }
            outcome => outcome,
        }
    }
}

impl Passenger {
    /// Nobody may be listening any more: then it is over already.
    fn ends(self, ride: Ride) {
        let _ = self.end.send(ride);
    }

    fn go_alone(self) {
        let _ = self.end.send(Ride::Alone(self.call));
    }
}

/// Everybody who comes until then, or until the batch takes nobody else.
async fn gather(mut boarded: UnboundedReceiver<Passenger>, closes: Instant) -> Vec<Passenger> {
    let mut all = Vec::new();
    while let Ok(Some(passenger)) = timeout_at(closes, boarded.recv()).await {
        all.push(passenger);
    }
    boarded.close();
    while let Some(passenger) = boarded.recv().await {
        all.push(passenger);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Which payments each batch has, by the number in their key, and the batches in their order.
    struct Harbour {
        batches: Batches,
        departed: Vec<UnboundedReceiver<Passenger>>,
        ends: Vec<oneshot::Receiver<Ride>>,
    }

    impl Harbour {
        fn new() -> Self {
            Self { batches: Batches::default(), departed: Vec::new(), ends: Vec::new() }
        }

        fn board(&mut self, number: u8, most: usize, gas_limit: u64) {
            let (end, ended) = oneshot::channel();
            let passenger = Passenger {
                payment: PaymentKey::from_bytes([number; 32]),
                payer: EvmAddress::ZERO,
                chain_id: 1,
                call: Call { from: EvmAddress::ZERO, to: EvmAddress::ZERO, data: vec![0; 292], gas_limit },
                stage: Arc::new(watch::channel(Stage::Preparing).0),
                end,
            };
            self.ends.push(ended);
            let batching = Batching { window: Duration::from_secs(5), most };
            let departed = &mut self.departed;
            self.batches.board(passenger, batching, Instant::now(), |boarded, _| departed.push(boarded));
        }

        /// The payments of the batch that left first, which must not wait.
        async fn first(&mut self) -> Vec<u8> {
            let closes = Instant::now() + Duration::from_secs(60);
            let gathered =
                tokio::time::timeout(Duration::from_secs(5), gather(self.departed.remove(0), closes));
            gathered.await.expect("it leaves at once").iter().map(|one| one.payment.as_bytes()[0]).collect()
        }
    }

    #[tokio::test]
    async fn a_full_batch_and_one_that_the_next_does_not_fit_leave_at_once() {
        let mut harbour = Harbour::new();
        (1..=4).for_each(|number| harbour.board(number, 3, 100_000));
        assert_eq!(harbour.first().await, [1, 2, 3]);
        harbour.board(5, 3, 14_950_000);
        assert_eq!(harbour.first().await, [4]);
        assert_eq!(harbour.departed.len(), 1, "the last one waits for others");
    }

    #[tokio::test]
    async fn of_two_with_one_nonce_one_goes_alone() {
        let mut harbour = Harbour::new();
        [1, 1, 2].into_iter().for_each(|number| harbour.board(number, 2, 100_000));
        assert!(matches!(harbour.ends.remove(1).await, Ok(Ride::Alone(_))));
        assert_eq!(harbour.first().await, [1, 2]);
    }

    #[tokio::test]
    async fn who_comes_when_the_doors_are_shut_opens_the_next() {
        let mut harbour = Harbour::new();
        harbour.board(1, 3, 100_000);
        let mut left = harbour.departed.remove(0);
        left.close();
        harbour.board(2, 3, 100_000);
        harbour.board(3, 3, 100_000);
        harbour.board(4, 3, 100_000);
        assert_eq!(harbour.first().await, [2, 3, 4]);
        assert_eq!(left.recv().await.map(|one| one.payment.as_bytes()[0]), Some(1), "nobody is lost");
    }

    #[tokio::test]
    async fn who_was_aboard_hears_of_the_end_of_whoever_carried_it() {
        let mut harbour = Harbour::new();
        harbour.board(1, 3, 100_000);
        harbour.departed.clear();
        assert!(harbour.ends.remove(0).await.is_err());
    }
}
