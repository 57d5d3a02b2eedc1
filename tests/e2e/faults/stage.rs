//! A chain, the official facilitator on it, and a server for each kind of witness.

use std::{
    fmt,
    ops::Deref,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use devchain::DevChain;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use x402_core::{
    order::{Filter, Order, OrderStore, PaymentState},
    time::UnixSeconds,
};
use x402_store::StoreUrl;
use x402_tests::{
    Challenge, Fault, Framework, Line, MERCHANT, OfficialFacilitator, Payer, Request, Response, Server, Shop,
    eventually, now,
};

use super::table::{Outcome, PATIENCE, Timing};

/// Whether the server can look at the chain itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Witness {
    Sees,
    /// Not before all payments are presented for the first time.
    Blind,
    None,
}

/// What all servers of a timing share.
pub(super) struct Stage {
    timing: Timing,
    chain: DevChain,
    facilitator: OfficialFacilitator,
    payers: u64,
    runtime: Runtime,
}

/// A server, its store, and its line to the chain.
pub(super) struct Watching {
    server: Server,
    store: Arc<dyn OrderStore>,
    line: Line,
    _folder: TempDir,
}

/// A payment that met a fault.
pub(super) struct Sale {
    pub(super) fault: Option<Fault>,
    payer: Payer,
    request: Request,
    told: u16,
}

impl Witness {
    pub(super) const ALL: [Self; 3] = [Self::Sees, Self::Blind, Self::None];
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sees => "sees",
            Self::Blind => "sees later",
            Self::None => "none",
        })
    }
}

impl Stage {
    pub(super) fn open(timing: Timing) -> Self {
        let chain = DevChain::start().expect("the chain starts");
        let facilitator = OfficialFacilitator::start(&chain);
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { timing, chain, facilitator, payers: 0, runtime: runtime.expect("a runtime starts") }
    }

    pub(super) fn server(&self, witness: Witness) -> Watching {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let store = format!("sqlite:{}", folder.path().join("orders.db").display());
        let line = Line::to(self.chain.url());
        let environment = Shop::environment()
            .set("FACILITATOR_URL", self.facilitator.url())
            .set("SETTLE", self.timing.to_string())
            .set("SETTLE_WITHIN", PATIENCE.to_string())
            .set("RESOLVE_WITHIN", "1")
            .set("STORE_URL", &*store);
        let environment = match witness {
            Witness::None => environment,
            _ => environment.set("WITNESS_URL", line.url()),
        };
        let server = Server::start(Framework::Axum, environment);
        if witness == Witness::Blind {
            line.kill();
        }
        let store = store.parse::<StoreUrl>().expect("a URL of a store");
        let store = self.runtime.block_on(store.connect_existing()).expect("the store is there");
        Watching { server, store, line, _folder: folder }
    }

    /// Presents a payment that meets a fault, and then one that meets none: faults in a row are another story.
    pub(super) fn meet(&mut self, server: &Server, fault: Option<Fault>) -> Sale {
        let sale = self.sell(server, fault);
        eventually("blocks are mined", || {
            self.chain.rpc("anvil_getAutomine", json!([])).expect("anvil tells") == true
        });
        let _ = self.sell(server, None);
        sale
    }

    fn sell(&mut self, server: &Server, fault: Option<Fault>) -> Sale {
        self.payers += 1;
        let payer = Payer::numbered(FIRST_PAYER + self.payers);
        self.chain.mint(payer.address(), PRICE).expect("the payer gets money for one sale");
        let payment = payer.v2(&Challenge::of(&server.send(&Request::get("/exact"))));
        if let Some(fault) = fault {
            self.facilitator.fail(&payment, fault);
        }
        let request = Request::get("/exact").paying(&payment);
        let response = server.send(&request);
        keeps_the_rules(&response, fault);
        Sale { fault, payer, request, told: response.status }
    }

    /// Waits until the facilitator was asked to settle all sales that it was to settle, also those that were put off.
    pub(super) fn everything_was_sent(&self, sales: &[Sale]) {
        if self.timing == Timing::Deferred {
            let settled =
                |sale: &Sale| sale.fault.is_some_and(|fault| !fault.moved) || self.charges(&sale.payer) == 1;
            eventually("all are sent", || sales.iter().all(settled));
        }
    }

    /// Presents the payment of a sale again, as a patient client does, and looks at what became of it.
    pub(super) fn settle_up(&self, server: &Watching, sale: &Sale, wanted: Outcome) -> Outcome {
        let until = Instant::now() + PATIENT_FOR;
        let mut seen = self.present_again(server, sale);
        // What was told first stays wrong.
        while seen != wanted && seen.told == wanted.told && Instant::now() < until {
            thread::sleep(Duration::from_millis(500));
            seen = self.present_again(server, sale);
        }
        seen
    }

    fn present_again(&self, server: &Watching, sale: &Sale) -> Outcome {
        let response = server.send(&sale.request);
        if response.status != 200 {
            keeps_the_rules(&response, sale.fault);
        }
        let order = self.order(server, &sale.payer);
        let key = order.as_ref().map(|order| order.key.to_string());
        Outcome {
            told: sale.told,
            again: response.status,
            charges: self.charges(&sale.payer),
            runs: server.deliveries().iter().filter(|run| Some(&run.payment) == key.as_ref()).count(),
            payment: order.map_or("none", |order| name(order.state.payment)),
        }
    }

    fn order(&self, server: &Watching, payer: &Payer) -> Option<Order> {
        let (all, now, mut after) = (Filter::default(), UnixSeconds::new(now()), None);
        loop {
            let page = server.store.page(&all, after, 200, now);
            let page = self.runtime.block_on(page).expect("the store answers");
            let ours = |order: &Order| order.payer.eq_ignore_ascii_case(payer.address());
            match (page.orders.into_iter().find(ours), page.next) {
                (None, Some(next)) => after = Some(next),
                (order, _) => return order,
            }
        }
    }

    fn charges(&self, payer: &Payer) -> usize {
        self.chain.transfer_count(payer.address(), MERCHANT.address).expect("the chain tells transfers")
    }
}

impl Watching {
    pub(super) fn sees_again(&self) {
        self.line.mend();
    }
}

impl Deref for Watching {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Whatever a payer is told: nothing is delivered with a bad status, who may come back is told when, and who may have paid is
/// not asked to pay again.
#[track_caller]
fn keeps_the_rules(response: &Response, fault: Option<Fault>) {
    let delivered = response.header("delivery-token").is_some();
    assert_eq!(delivered, response.status == 200, "{fault:?}: {} {}", response.status, response.text());
    if response.status != 200 {
        let (again, anew) = (response.header("retry-after"), response.header("payment-required"));
        assert_eq!(again.is_some(), response.status != 402, "{fault:?}: {}", response.text());
        let nothing_was_sent = fault.is_some_and(|fault| fault.endpoint == "verify");
        assert!(anew.is_none() || nothing_was_sent, "{fault:?}: asked to pay again: {}", response.text());
    }
}

const fn name(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Settled => "Settled",
        PaymentState::Failed => "Failed",
        PaymentState::Unresolved => "Unresolved",
        PaymentState::Settling => "Settling",
        PaymentState::Rejected => "Rejected",
        PaymentState::Expired => "Expired",
        _ => "open",
    }
}

/// More than an order that was put off waits for the worker, later and later.
const PATIENT_FOR: Duration = Duration::from_secs(45);
const PRICE: u128 = 1000;
/// Away from the numbers of precompiled contracts and from keys that others use.
const FIRST_PAYER: u64 = 0x0402_0000;
