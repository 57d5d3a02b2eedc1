//! A chain with a token, a payer with money, and payments to try on them.

use std::time::Duration;

use devchain::{DevChain, TOKEN, accounts};
use serde_json::{Value, json};
use x402_core::{
    error::RejectReason,
    facilitator::{Facilitator, Payment, SettleError, Settlement, VerifyError},
    price::{NetworkId, PriceOption},
    scheme::Scheme,
    time::{Clock, UnixSeconds},
    wire::{
        V2,
        header::{decode_payment, encode},
        v2,
    },
};
use x402_evm::{AuthorizationWindow, EvmFacilitator, EvmSigner, ExactEvm, GasKey, UptoEvm, random_nonce};

pub(crate) const PAY_TO: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
/// Accounts of the development chain: who pays for tokens, and who pays for gas.
pub(crate) const PAYER: usize = 1;
pub(crate) const GAS: usize = 5;

pub(crate) struct World {
    pub(crate) chain: DevChain,
    pub(crate) payer: EvmSigner,
}

impl World {
    pub(crate) fn start() -> Self {
        let chain = DevChain::start().unwrap();
        let payer = EvmSigner::from_hex(accounts()[PAYER].key).unwrap();
        chain.mint(&payer.address().to_string(), 1_000_000_000).unwrap();
        Self { chain, payer }
    }

    /// Lets Permit2 move the payer's tokens.
    pub(crate) fn approve(&self, amount: u128) {
        self.chain.approve_permit2(accounts()[PAYER].address, amount).unwrap();
    }

    pub(crate) fn facilitator(&self) -> EvmFacilitator {
        facilitator_at(self.chain.url())
    }

    pub(crate) fn payment(&self, amount: u64) -> Payment {
        self.payment_in(&option(amount), self.window(300))
    }

    pub(crate) fn payment_in(&self, option: &PriceOption, window: AuthorizationWindow) -> Payment {
        let payload = self.payer.authorize(option, window, random_nonce()).unwrap();
        payment_with(option, payload)
    }

    /// What another account of the development chain signs.
    pub(crate) fn payment_of(&self, payer: usize, amount: u64, seconds: u64) -> Payment {
        let payer = EvmSigner::from_hex(accounts()[payer].key).unwrap();
        let option = option(amount);
        let payload = payer.authorize(&option, self.window(seconds), random_nonce()).unwrap();
        payment_with(&option, payload)
    }

    /// From long ago to `seconds` after the chain's present block.
    pub(crate) fn window(&self, seconds: u64) -> AuthorizationWindow {
        let valid_before = UnixSeconds::new(self.chain.now().unwrap() + seconds);
        AuthorizationWindow { valid_after: UnixSeconds::new(0), valid_before }
    }

    /// A clock that stands still at the chain's present block.
    pub(crate) fn clock(&self) -> StoppedClock {
        StoppedClock(UnixSeconds::new(self.chain.now().unwrap()))
    }

    pub(crate) fn received(&self) -> u128 {
        self.chain.balance(PAY_TO).unwrap()
    }

    /// Transactions mined from the account that pays gas.
    pub(crate) fn gas_account_nonce(&self) -> u64 {
        quantity(
            &self.chain.rpc("eth_getTransactionCount", json!([accounts()[GAS].address, "latest"])).unwrap(),
        )
    }

    /// Transactions that wait for a block.
    pub(crate) fn waiting(&self) -> u64 {
        quantity(&self.chain.rpc("txpool_status", json!([])).unwrap()["pending"])
    }

    /// Sends a transaction that the next block has before all others.
    pub(crate) fn overtake(&self, from: &str, to: &str, data: &str) {
        let transaction = json!([{
            "from": from, "to": to, "data": data, "gas": "0x40000",
            "maxPriorityFeePerGas": "0x2540be400", "maxFeePerGas": "0x4a817c800",
        }]);
        self.chain.rpc("eth_sendTransaction", transaction).unwrap();
    }

    /// Sends a transaction from an unlocked account and waits for it; returns its hash.
    pub(crate) fn transact(&self, from: &str, to: &str, data: &str) -> String {
        let transaction = json!([{ "from": from, "to": to, "data": data, "gas": "0x4c4b40" }]);
        let hash = self.chain.rpc("eth_sendTransaction", transaction).unwrap();
        for _ in 0..200 {
            let receipt = self.chain.rpc("eth_getTransactionReceipt", json!([hash])).unwrap();
            if !receipt.is_null() {
                assert_eq!(receipt["status"], "0x1", "{to} {data}");
                return hash.as_str().unwrap().to_owned();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{hash} was not mined");
    }
}

/// Shows one second for ever.
#[derive(Clone, Copy)]
pub(crate) struct StoppedClock(pub(crate) UnixSeconds);

impl Clock for StoppedClock {
    fn now(&self) -> UnixSeconds {
        self.0
    }
}

pub(crate) fn facilitator_at(url: &str) -> EvmFacilitator {
    EvmFacilitator::new(url, gas_key(GAS)).unwrap()
}

/// Waits, as long as a busy machine needs, for what must come.
pub(crate) async fn until(mut come: impl FnMut() -> bool) {
    let limit = std::time::Instant::now() + Duration::from_secs(30);
    while !come() {
        assert!(std::time::Instant::now() < limit, "did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn gas_key(account: usize) -> GasKey {
    GasKey::from_hex(accounts()[account].key).unwrap()
}

pub(crate) fn option(amount: u64) -> PriceOption {
    option_of(TOKEN, "USDC", "2", amount)
}

pub(crate) fn option_of(token: &str, name: &str, version: &str, amount: u64) -> PriceOption {
    let network = NetworkId::new("eip155:84532").unwrap();
    PriceOption::new(network, token, amount, PAY_TO).signing_domain(name, version)
}

pub(crate) fn payment_with(option: &PriceOption, payload: Value) -> Payment {
    payment_extended(option, payload, None)
}

/// A payment whose extensions say this.
pub(crate) fn payment_extended(option: &PriceOption, payload: Value, extensions: Option<Value>) -> Payment {
    let scheme: &dyn Scheme = if option.is_upto() { &UptoEvm::new() } else { &ExactEvm::new() };
    let authorization = scheme.read(&payload, option).unwrap();
    let message = v2::PaymentPayload {
        x402_version: V2,
        accepted: option.to_v2(),
        payload,
        resource: None,
        extensions: extensions.and_then(|extensions| extensions.as_object().cloned()),
    };
    let presented = decode_payment(&encode(&message)).unwrap();
    Payment::new(presented, option.clone(), v2::ResourceInfo::default(), authorization)
}

pub(crate) fn quantity(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

pub(crate) async fn settle(facilitator: &EvmFacilitator, payment: &Payment) -> Settlement {
    facilitator.settle(payment).await.unwrap()
}

pub(crate) async fn verify_refusal(facilitator: &EvmFacilitator, payment: &Payment) -> RejectReason {
    match facilitator.verify(payment).await {
        Err(VerifyError::Rejected(reason)) => reason,
        other => panic!("wanted a refusal, got {other:?}"),
    }
}

/// The reason, and whether something was sent.
pub(crate) async fn settle_refusal(facilitator: &EvmFacilitator, payment: &Payment) -> (RejectReason, bool) {
    match facilitator.settle(payment).await {
        Err(SettleError::Rejected { reason, transaction }) => (reason, transaction.is_some()),
        other => panic!("wanted a refusal, got {other:?}"),
    }
}
