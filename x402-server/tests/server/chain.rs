//! Holding a store against a real chain.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use devchain::{DevChain, accounts};
use x402_core::{
    Admission, Engine, Outcome,
    facilitator::{BoxFuture, Facilitator, Payment, SettleError, Settlement, VerifyError},
    price::PriceOption,
    quote::QuoteKey,
    scheme::Scheme,
    time::UnixSeconds,
    wire::{V2, facilitator::SupportedResponse, header::encode, v2},
};
use x402_evm::{AuthorizationWindow, EvmFacilitator, EvmSigner, GasKey, random_nonce};

use super::{
    cli::x402,
    places::Place,
    support::{engine, present},
};

/// Settles on a real chain, and may lose the answer.
#[derive(Clone)]
struct Forgetful {
    chain: Arc<EvmFacilitator>,
    loses: Arc<AtomicBool>,
}

impl Facilitator for Forgetful {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        self.chain.verify(payment)
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        Box::pin(async move {
            let settled = self.chain.settle(payment).await?;
            if self.loses.load(Ordering::SeqCst) {
                return Err(SettleError::Unresolved { transaction: None, source: "lost".into() });
            }
            Ok(settled)
        })
    }

    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, VerifyError>> {
        self.chain.supported()
    }

    fn schemes(&self) -> Vec<Arc<dyn Scheme>> {
        self.chain.schemes()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_resolves_what_is_unknown_and_tells_what_it_took_back() {
    let chain = DevChain::start().unwrap();
    let signer = EvmSigner::from_hex(accounts()[1].key).unwrap();
    chain.mint(&signer.address().to_string(), 1_000_000_000).unwrap();
    let place = Place::sqlite();
    let gas = GasKey::from_hex(accounts()[5].key).unwrap();
    let facilitator =
        Forgetful { chain: Arc::new(EvmFacilitator::new(chain.url(), gas).unwrap()), loses: Arc::default() };
    let engine = engine(place.store().await, QuoteKey::random(), facilitator.clone());
    let valid_before = UnixSeconds::new(chain.now().unwrap() + 300);
    let pay = |option: &PriceOption| pay(&signer, option, valid_before);
    let option = engine.prices().options().next().unwrap().clone();
    let url = place.url.clone();
    let node = chain.url().to_owned();
    let reconcile = |more: &[&str]| {
        let arguments = [&["orders", "reconcile", "--store", &url, "--rpc", &node], more].concat();
        x402(&arguments, &[])
    };

    let sold = deliver(&engine, pay(&option)).await;
    let before_loss = chain.snapshot().unwrap();
    facilitator.loses.store(true, Ordering::SeqCst);
    let lost = deliver(&engine, pay(&option)).await;
    assert_eq!((sold, lost), (200, 503));

    let looked = reconcile(&["--dry-run"]);
    assert_eq!(looked.code, 1, "store and chain still differ");
    assert!(looked.out.contains("outcome was unknown: paid by 0x"), "{}", looked.out);
    let recorded = reconcile(&["--json"]).lines();
    assert_eq!(recorded[0]["finding"], "settled");
    assert_eq!(recorded[1]["total"]["difference"], "0");
    let nothing = reconcile(&[]).ok();
    assert!(nothing.contains("0 orders compared"), "{nothing}");
    let all = reconcile(&["--all"]).ok();
    assert!(all.contains("0.02 USDC in the store, 0.02 USDC on chain, store minus chain 0"), "{all}");

    chain.revert(&before_loss).unwrap();
    let after = reconcile(&["--all"]);
    assert_eq!(after.code, 1, "{}", after.err);
    assert_eq!(after.out.matches("NOT ON CHAIN").count(), 1, "{}", after.out);
    assert!(after.out.contains("store minus chain 10000"), "{}", after.out);
    let shown = x402(&["orders", "list", "--store", &url, "--json"], &[]).lines();
    assert!(shown.iter().all(|order| order["payment"] == "settled"), "what was recorded stays");

    drop(chain);
    let silent = reconcile(&["--all"]);
    assert_eq!(silent.code, 2);
    assert!(silent.err.contains("the chain cannot be asked"), "{}", silent.err);
}

/// The header that pays.
pub(crate) fn pay(signer: &EvmSigner, option: &PriceOption, valid_before: UnixSeconds) -> Bytes {
    let window = AuthorizationWindow { valid_after: UnixSeconds::new(0), valid_before };
    encode(&v2::PaymentPayload {
        x402_version: V2,
        accepted: option.to_v2(),
        payload: signer.authorize(option, window, random_nonce()).unwrap(),
        resource: None,
        extensions: None,
    })
}

/// Buys, and takes the response.
pub(crate) async fn deliver(engine: &Engine, payment: Bytes) -> u16 {
    let Admission::Enter(ticket) = present(engine, "/weather/oslo", &payment).await else {
        panic!("the payment is good")
    };
    match ticket.finish(Outcome::complete(200, Vec::new(), Bytes::from_static(b"sunny"))).await {
        Ok(mut release) => {
            release.delivery.delivered();
            200
        }
        Err(reply) => reply.status,
    }
}
