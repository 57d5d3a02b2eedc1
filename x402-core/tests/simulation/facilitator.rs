//! The facilitator and the witness, as one server reaches them.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use x402_core::{
    error::RejectReason,
    facilitator::{
        BoxFuture, Evidence, Facilitator, Payment, SettleError, Settlement, Transfer, VerifyError, Witness,
    },
    scheme::{Proof, Scheme},
    testing::FakeSignatures,
    wire::facilitator::SupportedResponse,
};

use crate::{
    chain::Sender,
    process::Process,
    world::{World, short},
};

/// The way from one process to the facilitator, and to the chain.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) world: Arc<World>,
    pub(crate) process: Arc<Process>,
}

/// What becomes of a request to settle.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Honest,
    /// Nothing is sent, and it says so.
    Down,
    /// Nothing is sent, for a reason of its own.
    Refused,
    /// Sent; the answer is lost; it is mined at some time.
    MinedLater,
    /// Sent, answer lost, and dropped by the chain.
    Dropped,
    /// Somebody else sends it first.
    FrontRun,
    /// Nothing is sent, and it says that the money moved. Only where a witness can tell.
    Lie,
}

impl Remote {
    fn who(&self) -> String {
        format!("s{}", self.process.server)
    }
}

impl Facilitator for Remote {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        Box::pin(async move {
            self.process.pass().await;
            let world = &self.world;
            sleep(trip(world)).await;
            let verified = if world.strikes(world.climate.facilitator_faults / 2) {
                Err(if world.rng.chance(50) {
                    VerifyError::Unavailable("down".into())
                } else {
                    world.chain().refuse(payment.authorization.key.as_bytes());
                    VerifyError::Rejected(RejectReason::InsufficientFunds)
                })
            } else {
                honest_verify(world, payment).map_err(VerifyError::Rejected)
            };
            world
                .tell(self.who(), || format!("verify {} -> {verified:?}", short(&payment.authorization.key)));
            self.process.pass().await;
            verified
        })
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        Box::pin(async move {
            self.process.pass().await;
            let key = &payment.authorization.key;
            self.world.tell(self.who(), || format!("settle {}", short(key)));
            self.world.count("sent to settle");
            // What was asked for is done, whether or not somebody still waits.
            let settled = tokio::spawn(settle(Arc::clone(&self.world), payment.clone())).await.unwrap();
            self.world.tell(self.who(), || format!("settle {} -> {settled:?}", short(key)));
            self.process.pass().await;
            settled
        })
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        Box::pin(async { Ok(SupportedResponse::default()) })
    }

    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        if self.world.climate.local_proof { vec![Arc::new(FakeSignatures)] } else { Vec::new() }
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        self.world.climate.witness.then(|| Arc::new(self.clone()) as _)
    }
}

impl Witness for Remote {
    fn evidence<'a>(&'a self, transfer: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>> {
        Box::pin(async move {
            self.process.pass().await;
            let world = &self.world;
            sleep(trip(world)).await;
            let evidence = if world.strikes(world.climate.facilitator_faults) {
                Err(VerifyError::Unavailable("node is down".into()))
            } else {
                let until = world.before(world.climate.lag);
                Ok(world.chain().evidence(transfer, until, world))
            };
            world.tell(self.who(), || format!("evidence {} -> {evidence:?}", short(&transfer.key)));
            self.process.pass().await;
            evidence
        })
    }
}

fn honest_verify(world: &World, payment: &Payment) -> Result<(), RejectReason> {
    let authorization = &payment.authorization;
    if FakeSignatures.prove(authorization, &payment.option)? != Proof::Signed {
        return Err(RejectReason::WrongSignature);
    }
    let (valid_before, now) = (authorization.valid_before, world.now());
    if now >= valid_before {
        return Err(RejectReason::Expired { valid_before, now });
    }
    if world.chain().is_used(&authorization.key) {
        return Err(RejectReason::NonceAlreadyUsed);
    }
    Ok(())
}

async fn settle(world: Arc<World>, payment: Payment) -> Result<Settlement, SettleError> {
    let key = payment.authorization.key;
    let _hand = InHand::new(&world, &payment);
    sleep(trip(&world)).await;
    let rejected = |reason, transaction| Err(SettleError::Rejected { reason, transaction });
    let unresolved =
        |transaction| Err(SettleError::Unresolved { transaction, source: "answer was lost".into() });
    let repeated = match world.chain().paid(key.as_bytes()) {
        Some((settlement, Sender::Facilitator)) if world.climate.repeats => Some(settlement.clone()),
        _ => None,
    };
    if let Some(settlement) = repeated {
        return Ok(settlement);
    }
    if let Err(reason) = honest_verify(&world, &payment) {
        return rejected(reason, None);
    }
    let fate = fate(&world);
    world.tell("facilitator", || format!("{} {fate:?}", short(&key)));
    let transaction = world.chain().transaction();
    let told = || world.rng.chance(50).then(|| transaction.clone());
    match fate {
        Fate::Down => Err(SettleError::Unavailable("down".into())),
        Fate::Lie => {
            world.count("said to be settled, and was not");
            let (network, payer) = (payment.option.network.clone(), payment.authorization.payer.clone());
            Ok(Settlement::new(transaction, network, payer, payment.authorization.amount))
        }
        Fate::Refused => {
            let reason = [RejectReason::InsufficientFunds, RejectReason::SimulationFailed];
            rejected(world.rng.pick(&reason).clone(), None)
        }
        Fate::Dropped => {
            sleep(world.rng.seconds(0, 30)).await;
            unresolved(told())
        }
        Fate::MinedLater => {
            let answered_after = world.rng.seconds(0, 30);
            let told = told();
            tokio::spawn(mine_later(Arc::clone(&world), payment, transaction));
            sleep(answered_after).await;
            unresolved(told)
        }
        Fate::FrontRun => {
            let theirs = world.chain().transaction();
            sleep(block(&world)).await;
            let _ = world.chain().mine(&payment, &theirs, Sender::Stranger, world.now());
            world.count("sent by a stranger first");
            rejected(RejectReason::NonceAlreadyUsed, told())
        }
        Fate::Honest => {
            sleep(block(&world)).await;
            let now = world.now();
            let mined = world.chain().mine(&payment, &transaction, Sender::Facilitator, now);
            if mined.is_ok() {
                world.tell("chain", || format!("{} paid by {transaction}", short(&key)));
            }
            if world.is_stormy() {
                sleep(world.rng.seconds(0, 20)).await;
            }
            mined.or_else(|reason| rejected(reason, Some(transaction)))
        }
    }
}

fn fate(world: &World) -> Fate {
    if !world.strikes(world.climate.facilitator_faults) {
        return Fate::Honest;
    }
    match world.rng.between(0, 10) {
        0..4 => Fate::MinedLater,
        4..6 => Fate::Dropped,
        6..8 => Fate::Refused,
        8 => Fate::FrontRun,
        9 if world.climate.witness => Fate::Lie,
        _ => Fate::Down,
    }
}

async fn mine_later(world: Arc<World>, payment: Payment, transaction: String) {
    let _hand = InHand::new(&world, &payment);
    sleep(world.rng.seconds(0, 90)).await;
    let mined = world.chain().mine(&payment, &transaction, Sender::Facilitator, world.now());
    world.tell("chain", || format!("{} mined late: {mined:?}", short(&payment.authorization.key)));
    if mined.is_ok() {
        world.count("mined after the answer was lost");
    }
}

/// The way there, or back.
fn trip(world: &World) -> Duration {
    let most = if world.strikes(5) { 20 } else { 0 };
    Duration::from_millis(world.rng.between(1, 40)) + world.rng.seconds(0, most)
}

/// Until the next block.
fn block(world: &World) -> Duration {
    Duration::from_millis(world.rng.between(10, 2_000))
}

/// An authorization that somebody may send, or has sent.
struct InHand(Arc<World>, x402_core::scheme::PaymentKey);

impl InHand {
    fn new(world: &Arc<World>, payment: &Payment) -> Self {
        let key = payment.authorization.key;
        let mut chain = world.chain();
        let note = chain.note(&key);
        note.first_sent.get_or_insert_with(tokio::time::Instant::now);
        note.take_in_hand();
        drop(chain);
        Self(Arc::clone(world), key)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.chain().note(&self.1).let_go();
    }
}
