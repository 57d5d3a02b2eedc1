//! A facilitator that moves imaginary money, and fails as told.

mod answers;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use self::answers::Script;
pub use self::answers::{EvidenceAnswer, SettleAnswer, VerifyAnswer};
use super::{FakeSignatures, FakeUptoSignatures};
use crate::{
    error::RejectReason,
    facilitator::{
        BoxFuture, Evidence, Facilitator, Payment, SettleError, Settlement, Transfer, VerifyError, Witness,
    },
    price::AtomicAmount,
    scheme::{PaymentKey, Proof, Scheme},
    time::{Clock, UnixSeconds},
    wire::{
        X402Version,
        facilitator::{SupportedKind, SupportedResponse},
    },
};

/// A facilitator that moves imaginary money, and fails as told. Clones share one ledger: keep one in the test, give the
/// other to the engine.
///
/// Left alone it is honest: it takes the signatures of [`fake_signature`](super::fake_signature) and nothing else,
/// moves the money of each payment once, and returns the same [`Settlement`] for a payment it settled before. See the
/// [module docs](super) for an example.
#[derive(Clone)]
pub struct FakeFacilitator {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    hanging: watch::Sender<usize>,
    releases: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    verify: Script<VerifyAnswer>,
    settle: Script<SettleAnswer>,
    evidence: Script<EvidenceAnswer>,
    transfers: Vec<Settlement>,
    settled: HashMap<PaymentKey, Settlement>,
    spent: HashSet<PaymentKey>,
    clock: Option<Arc<dyn Clock>>,
    funds: Option<AtomicAmount>,
    any_signature: bool,
    local_proof: bool,
    witness: bool,
}

impl FakeFacilitator {
    /// An honest facilitator without a witness, that leaves local proof to others.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            state: Mutex::default(),
            hanging: watch::Sender::new(0),
            releases: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Brings [`FakeSignatures`] as its [`Scheme`], so that signatures are proved before anything is stored.
    #[must_use]
    pub fn with_local_proof(self) -> Self {
        self.state().local_proof = true;
        self
    }

    /// Is its own [`Witness`], so that its settlements need none. Left without one it stands for a remote service, whose
    /// settlements the engine's witness looks for.
    #[must_use]
    pub fn with_witness(self) -> Self {
        self.state().witness = true;
        self
    }

    /// Refuses payments whose window is over by this clock. Without one, windows are not looked at.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock + 'static) -> Self {
        self.state().clock = Some(Arc::new(clock));
        self
    }

    /// Gives every payer so much of every token, and reads balances when it verifies. Without it, everybody is rich.
    #[must_use]
    pub fn with_funds(self, amount: AtomicAmount) -> Self {
        self.state().funds = Some(amount);
        self
    }

    /// Takes every signature, real ones too.
    #[must_use]
    pub fn with_any_signature(self) -> Self {
        self.state().any_signature = true;
        self
    }

    /// Answers all verifications like this from now on, unless told otherwise for the next.
    pub fn on_verify(&self, answer: VerifyAnswer) {
        self.state().verify.always = answer;
    }

    /// Answers one verification like this, after those that were announced before.
    pub fn next_verify(&self, answer: VerifyAnswer) {
        self.state().verify.next.push_back(answer);
    }

    /// Answers all settlements like this from now on, unless told otherwise for the next.
    pub fn on_settle(&self, answer: SettleAnswer) {
        self.state().settle.always = answer;
    }

    /// Answers one settlement like this, after those that were announced before.
    pub fn next_settle(&self, answer: SettleAnswer) {
        self.state().settle.next.push_back(answer);
    }

    /// Answers all questions for evidence like this from now on, unless told otherwise for the next.
    pub fn on_evidence(&self, answer: EvidenceAnswer) {
        self.state().evidence.always = answer;
    }

    /// Answers one question for evidence like this, after those that were announced before.
    pub fn next_evidence(&self, answer: EvidenceAnswer) {
        self.state().evidence.next.push_back(answer);
    }

    /// Uses up the payment's nonce without paying anybody we know, as its payer could.
    pub fn spend_elsewhere(&self, key: PaymentKey) {
        self.state().spent.insert(key);
    }

    /// How often it was asked to verify.
    #[must_use]
    pub fn verify_calls(&self) -> usize {
        self.state().verify.calls
    }

    /// How often it was asked to settle.
    #[must_use]
    pub fn settle_calls(&self) -> usize {
        self.state().settle.calls
    }

    /// How often it was asked for evidence.
    #[must_use]
    pub fn evidence_calls(&self) -> usize {
        self.state().evidence.calls
    }

    /// Every movement of money, in order. At most one per payment.
    #[must_use]
    pub fn transfers(&self) -> Vec<Settlement> {
        self.state().transfers.clone()
    }

    /// The settlement of a payment, if its money has moved.
    #[must_use]
    pub fn settlement(&self, key: &PaymentKey) -> Option<Settlement> {
        self.state().settled.get(key).cloned()
    }

    /// Waits until at least so many calls hang.
    pub async fn hanging(&self, calls: usize) {
        let mut hanging = self.shared.hanging.subscribe();
        let enough = hanging.wait_for(|count| *count >= calls).await;
        enough.expect("the sender lives as long as `self`");
    }

    /// Lets every call that hangs now go on.
    pub fn release(&self) {
        self.shared.releases.send_modify(|count| *count += 1);
    }

    async fn hang(&self) {
        let mut releases = self.shared.releases.subscribe();
        let _counted = Hanging::new(&self.shared.hanging);
        releases.changed().await.expect("the sender lives as long as `self`");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed elsewhere says more than a poisoned lock.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FakeFacilitator {
    fn default() -> Self {
        Self::new()
    }
}

impl Facilitator for FakeFacilitator {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        Box::pin(async move {
            let answer = self.state().verify.take();
            match answer {
                VerifyAnswer::Honest => {}
                VerifyAnswer::Reject(reason) => return Err(VerifyError::Rejected(reason)),
                VerifyAnswer::Unavailable => return Err(VerifyError::Unavailable(DOWN.into())),
                VerifyAnswer::Hang => self.hang().await,
            }
            let state = self.state();
            state.verify(payment).map_err(VerifyError::Rejected)?;
            let under_way = payment.amount().checked_add(payment.committed);
            match state.balance(payment).is_none_or(|balance| under_way.is_some_and(|sum| sum <= balance)) {
                true => Ok(()),
                false => Err(VerifyError::Overcommitted),
            }
        })
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        Box::pin(async move {
            let answer = self.state().settle.take();
            match answer {
                SettleAnswer::Honest => {}
                SettleAnswer::Reject(reason) => {
                    return Err(SettleError::Rejected { reason, transaction: None });
                }
                SettleAnswer::Unresolved { moved } => {
                    let moved = moved.then(|| self.state().settle(payment)).and_then(Result::ok);
                    let transaction = moved.map(|settlement| settlement.transaction);
                    return Err(SettleError::Unresolved { transaction, source: "answer was lost".into() });
                }
                SettleAnswer::Lie { moved, told } => {
                    let moved = moved.then(|| self.state().settle(payment)).and_then(Result::ok);
                    let mut settlement = moved.unwrap_or_else(|| receipt(payment));
                    told(&mut settlement);
                    return Ok(settlement);
                }
                SettleAnswer::Unavailable => return Err(SettleError::Unavailable(DOWN.into())),
                SettleAnswer::Hang => self.hang().await,
            }
            let settled = self.state().settle(payment);
            settled.map_err(|reason| SettleError::Rejected { reason, transaction: None })
        })
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        let kind = |x402_version, scheme: &str, network: &str| SupportedKind {
            x402_version,
            scheme: scheme.to_owned(),
            network: network.to_owned(),
            extra: None,
        };
        let old = ["base", "base-sepolia"].map(|network| kind(X402Version::V1, "exact", network));
        let mut upto = kind(X402Version::V2, "upto", "eip155:*");
        upto.extra =
            Some([("facilitatorAddress".to_owned(), FACILITATOR_ADDRESS.into())].into_iter().collect());
        let kinds = [kind(X402Version::V2, "exact", "eip155:*"), upto].into_iter().chain(old).collect();
        Box::pin(async move { Ok(SupportedResponse { kinds, ..SupportedResponse::default() }) })
    }

    fn proves_settlement(&self) -> bool {
        self.state().witness
    }

    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        let schemes: [Arc<dyn Scheme>; 2] = [Arc::new(FakeSignatures), Arc::new(FakeUptoSignatures)];
        if self.state().local_proof { schemes.into() } else { Vec::new() }
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        self.state().witness.then(|| Arc::new(self.clone()) as _)
    }
}

impl Witness for FakeFacilitator {
    fn evidence<'a>(&'a self, transfer: &'a Transfer) -> BoxFuture<'a, Result<Evidence, VerifyError>> {
        Box::pin(async move {
            let mut state = self.state();
            match state.evidence.take() {
                EvidenceAnswer::Honest => Ok(state.evidence(transfer)),
                EvidenceAnswer::Unavailable => Err(VerifyError::Unavailable(DOWN.into())),
            }
        })
    }
}

impl fmt::Debug for FakeFacilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("FakeFacilitator")
            .field("verify_calls", &state.verify.calls)
            .field("settle_calls", &state.settle.calls)
            .field("transfers", &state.transfers.len())
            .finish_non_exhaustive()
    }
}

impl State {
    fn verify(&self, payment: &Payment) -> Result<(), RejectReason> {
        let key = &payment.authorization.key;
        if !self.any_signature
            && FakeSignatures.prove(&payment.authorization, &payment.option)? != Proof::Signed
        {
            return Err(RejectReason::WrongSignature);
        }
        self.check_window(payment.authorization.valid_before)?;
        if self.settled.contains_key(key) || self.spent.contains(key) {
            return Err(RejectReason::NonceAlreadyUsed);
        }
        match self.balance(payment) {
            Some(balance) if balance < payment.amount() => Err(RejectReason::InsufficientFunds),
            _ => Ok(()),
        }
    }

    fn balance(&self, payment: &Payment) -> Option<AtomicAmount> {
        let payer = &payment.authorization.payer;
        let spent = self.transfers.iter().filter(|transfer| transfer.payer == *payer);
        let left = |funds: AtomicAmount| {
            spent.map(|transfer| transfer.amount).try_fold(funds, AtomicAmount::checked_sub)
        };
        self.funds.map(|funds| left(funds).unwrap_or(AtomicAmount::ZERO))
    }

    fn settle(&mut self, payment: &Payment) -> Result<Settlement, RejectReason> {
        let authorization = &payment.authorization;
        if let Some(settlement) = self.settled.get(&authorization.key) {
            return Ok(settlement.clone());
        }
        self.verify(payment)?;
        let settlement = receipt(payment);
        self.settled.insert(authorization.key, settlement.clone());
        self.transfers.push(settlement.clone());
        Ok(settlement)
    }

    fn evidence(&self, transfer: &Transfer) -> Evidence {
        let key = &transfer.key;
        if let Some(settlement) = self.settled.get(key) {
            return Evidence::Settled(settlement.clone());
        }
        if self.spent.contains(key) {
            return Evidence::Dead(RejectReason::NonceAlreadyUsed);
        }
        self.check_window(transfer.valid_before).map_or_else(Evidence::Dead, |()| Evidence::StillPossible)
    }

    fn check_window(&self, valid_before: UnixSeconds) -> Result<(), RejectReason> {
        match self.clock.as_ref().map(|clock| clock.now()) {
            Some(now) if now >= valid_before => Err(RejectReason::Expired { valid_before, now }),
            _ => Ok(()),
        }
    }
}

/// The receipt of a payment that is settled honestly.
fn receipt(payment: &Payment) -> Settlement {
    let authorization = &payment.authorization;
    Settlement::new(
        // As long as a transaction's hash, and as unique.
        format!("0x{}", authorization.key),
        payment.option.network.clone(),
        authorization.payer.clone(),
        payment.amount(),
    )
}

/// Counts a call as hanging for as long as it does, dropped ones too.
struct Hanging<'a>(&'a watch::Sender<usize>);

impl<'a> Hanging<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// The account that it would settle with.
const FACILITATOR_ADDRESS: &str = "0x976EA74026E726554dB657fA54763abd0C3a0aa9";
const DOWN: &str = "fake facilitator is down";

#[cfg(test)]
mod tests;
