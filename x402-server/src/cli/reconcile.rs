//! `x402 orders reconcile`

use std::{
    fmt,
    io::{self, Write},
    str::FromStr,
    sync::Arc,
};

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use x402_core::{
    error::ConfigError,
    order::{Attention, Filter, Order, OrderStore},
    price::NetworkId,
    time::{Clock, SystemClock},
};
use x402_evm::EvmWitness;

use super::{
    DONE, Failure, LOOK,
    filter::FilterArguments,
    show,
    text::{money, plain},
};
use crate::{
    lookup::PAGE,
    reconcile::{Checked, Finding, Reconciler, Totals},
};

#[derive(Args)]
pub(super) struct Arguments {
    /// Orders, by id, payment key or transaction; without any, those whose outcome is unknown
    ids: Vec<String>,
    /// All orders that the filters let through
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    #[command(flatten)]
    filter: FilterArguments,
    /// A node: https, or http on this machine. For one network: NETWORK=URL, as in eip155:8453=https://..; may be
    /// repeated
    #[arg(long, required = true, value_name = "[NETWORK=]URL", env = "X402_RPC", hide_env_values = true)]
    #[arg(value_delimiter = ' ')]
    rpc: Vec<String>,
    /// Blocks that a transfer must have behind it, its own counted
    #[arg(long, default_value_t = 1, value_name = "BLOCKS")]
    confirmations: u64,
    /// Only look: record nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON document a line, the sums last
    #[arg(long)]
    json: bool,
}

/// Without the nodes, whose addresses may have keys in them.
impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arguments").field("ids", &self.ids).field("all", &self.all).finish_non_exhaustive()
    }
}

pub(super) async fn run(
    store: Arc<dyn OrderStore>,
    arguments: &Arguments,
    out: &mut (dyn Write + Send),
) -> Result<u8, Failure> {
    let reconciler = reconciler(Arc::clone(&store), arguments)?;
    let mut report = Report {
        out,
        json: arguments.json,
        verbose: false,
        totals: Totals::default(),
        seen: Seen::default(),
    };
    if arguments.ids.is_empty() {
        let mut filter = arguments.filter.filter();
        if !arguments.all {
            filter.attention = filter.attention.or(Some(Attention::SettlementUnknown));
        }
        pages(&*store, &reconciler, &filter, &mut report).await?;
    } else {
        report.verbose = true;
        for id in &arguments.ids {
            let order = show::find(&*store, id, SystemClock.now()).await?;
            report.add(&reconciler.compare(order).await?)?;
        }
    }
    report.end()
}

/// Orders that change on the way keep their place: pages go by when orders were opened.
async fn pages(
    store: &dyn OrderStore,
    reconciler: &Reconciler,
    filter: &Filter,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = store.page(filter, after, PAGE, SystemClock.now()).await?;
        let compared = page.orders.into_iter().map(|order: Order| reconciler.compare(order));
        let mut compared = stream::iter(compared).buffered(AT_ONCE);
        while let Some(checked) = compared.try_next().await? {
            report.add(&checked)?;
        }
        let Some(next) = page.next else { return Ok(()) };
        after = Some(next);
    }
}

fn reconciler(store: Arc<dyn OrderStore>, arguments: &Arguments) -> Result<Reconciler, Failure> {
    let mut reconciler = Reconciler::new(store);
    for node in &arguments.rpc {
        let node: Node = node.parse()?;
        let witness = EvmWitness::new(&node.url)?.confirmations(arguments.confirmations);
        reconciler = reconciler.witness(node.network, witness);
    }
    Ok(if arguments.dry_run { reconciler.dry_run() } else { reconciler })
}

/// A node's address, which may have a key in it: neither it nor the argument is ever shown.
struct Node {
    network: Option<NetworkId>,
    url: String,
}

impl FromStr for Node {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        // A network has no slash in it; what stands behind one in a URL may have an equals sign.
        let (network, url) = match text.split_once('=') {
            Some((network, url)) if !network.contains('/') => (Some(network), url),
            _ => (None, text),
        };
        let network = network.map(str::parse).transpose();
        let network = network.map_err(|_| {
            ConfigError::new("--rpc", "what stands before `=` is no network; wanted eip155:8453=https://..")
        })?;
        Ok(Self { network, url: url.to_owned() })
    }
}

struct Report<'a> {
    out: &'a mut (dyn Write + Send),
    json: bool,
    /// Whether what agrees is shown, too.
    verbose: bool,
    totals: Totals,
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    orders: u64,
    /// To be looked at by a person.
    to_look_at: u64,
    unanswered: u64,
    /// Why the first was not answered.
    why: Option<String>,
}

impl Report<'_> {
    fn add(&mut self, checked: &Checked) -> Result<(), Failure> {
        self.totals.add(checked);
        self.seen.orders += 1;
        self.seen.to_look_at += u64::from(checked.finding.needs_attention());
        if let Finding::Unanswered { why } = &checked.finding {
            self.seen.unanswered += 1;
            self.seen.why.get_or_insert_with(|| why.clone());
        }
        if checked.finding == Finding::Agrees && !self.verbose {
            return Ok(());
        }
        let Checked { order, finding, .. } = checked;
        if self.json {
            let line = json!({
                "orderId": order.id,
                "status": order.status(),
                "finding": finding.as_str(),
                "detail": detail(finding),
                "recorded": order.settlement.as_ref().map(|settlement| &settlement.transaction),
            });
            return self.line(&line);
        }
        writeln!(self.out, "{}  {:9}  {}", order.id, order.status(), plain(&told(checked)))?;
        Ok(())
    }

    fn end(self) -> Result<u8, Failure> {
        let Self { json, mut seen, .. } = self;
        if let Some(why) = seen.why.take().filter(|_| seen.unanswered == seen.orders) {
            return Err(Failure::Chain(why));
        }
        let mut differs = false;
        for total in self.totals.iter() {
            differs |= total.store != total.chain;
            if json {
                let mut line = serde_json::to_value(total).map_err(io::Error::from)?;
                line["difference"] = total.difference().into();
                writeln!(self.out, "{}", json!({ "total": line }))?;
                continue;
            }
            let of = |amount| money(amount, &total.network, &total.asset);
            writeln!(
                self.out,
                "{}: {} in the store, {} on chain, store minus chain {} ({} orders, {} left out)",
                total.network,
                of(total.store),
                of(total.chain),
                total.difference(),
                total.orders,
                total.unanswered,
            )?;
        }
        if !json {
            writeln!(self.out, "{} orders compared, {} to look at", seen.orders, seen.to_look_at)?;
        }
        Ok(if differs || seen.to_look_at > 0 { LOOK } else { DONE })
    }

    fn line(&mut self, line: &serde_json::Value) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{line}")?)
    }
}

fn detail(finding: &Finding) -> Option<&str> {
    match finding {
        Finding::Moved { transaction }
        | Finding::Unrecorded { transaction }
        | Finding::TransferTaken { transaction } => Some(transaction),
        Finding::Failed { reason } => Some(reason),
        Finding::Unanswered { why } => Some(why),
        _ => None,
    }
}

fn told(checked: &Checked) -> String {
    match &checked.finding {
        Finding::Agrees => "store and chain agree".to_owned(),
        Finding::Settled => {
            let paid = checked.on_chain.as_ref().map_or("", |paid| paid.transaction.as_str());
            format!("outcome was unknown: paid by {paid}")
        }
        Finding::Failed { reason } => format!("outcome was unknown: never paid ({reason})"),
        Finding::Open => "outcome is unknown, and the authorization may still be used".to_owned(),
        Finding::Busy => "somebody works on it".to_owned(),
        Finding::Moved { transaction } => format!("settled, but the chain shows it in {transaction}"),
        Finding::Gone => "SETTLED, AND NOT ON CHAIN: a reorganisation took the transfer back".to_owned(),
        Finding::Unrecorded { transaction } => {
            format!("NOT SETTLED, AND PAID ON CHAIN by {transaction}")
        }
        Finding::TransferTaken { transaction } => {
            format!("paid by {transaction}, which has settled another order")
        }
        Finding::Unanswered { why } => format!("not compared: {why}"),
    }
}

/// Orders that are asked for at once.
const AT_ONCE: usize = 8;
