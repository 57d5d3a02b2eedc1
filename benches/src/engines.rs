use x402_core::{
    Engine,
    order::{MemoryStore, OrderStore},
    price::Prices,
    quote::QuoteKey,
    testing::FakeFacilitator,
};
use x402_evm::ExactEvm;

use crate::{CountingScheme, prices};

/// An engine that checks signatures itself and remembers nothing: a good payment ends with a 503.
#[must_use]
pub fn stateless(scheme: CountingScheme) -> Engine {
    let store = MemoryStore::builder().capacity(0).build();
    let engine = Engine::builder(prices()).facilitator(facilitator()).scheme(scheme).store(store);
    engine.build().expect("the engine has no mistakes")
}

/// An engine over fakes with its orders in memory.
#[must_use]
pub fn in_memory(prices: Prices) -> Engine {
    over(prices, MemoryStore::new())
}

/// An engine over fakes with its orders in this store.
#[must_use]
pub fn over(prices: Prices, store: impl OrderStore + 'static) -> Engine {
    let engine = Engine::builder(prices).facilitator(facilitator()).scheme(ExactEvm::new()).store(store);
    engine.quote_key(QuoteKey::random()).build().expect("the engine has no mistakes")
}

fn facilitator() -> FakeFacilitator {
    FakeFacilitator::new().with_any_signature()
}
