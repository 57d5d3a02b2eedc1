//! `x402 orders show` and `x402 orders proof`

use std::io::Write;

use clap::Args;
use x402_core::{
    order::{Filter, Order, OrderStore, Transition, proof::ProofRecord},
    scheme::PaymentKey,
    time::{Clock, SystemClock, UnixSeconds},
};

use super::{
    DONE, Failure,
    text::{money, plain},
    time,
    view::{OrderView, transaction},
};
use crate::lookup;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The order's id, its payment's key, or a transaction (0x.., found by looking at all orders)
    id: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct ProofArguments {
    /// The order's id, its payment's key, or a transaction (0x.., found by looking at all orders)
    id: String,
}

pub(super) async fn run(
    store: &dyn OrderStore,
    arguments: &Arguments,
    out: &mut (dyn Write + Send),
) -> Result<u8, Failure> {
    let now = SystemClock.now();
    let order = find(store, &arguments.id, now).await?;
    let history = store.history(&order.key).await?;
    if arguments.json {
        let view = OrderView::of(&order, now).with_history(history);
        serde_json::to_writer_pretty(&mut *out, &view).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else {
        show(out, &order, &history, now)?;
    }
    Ok(DONE)
}

pub(super) async fn proof(
    store: &dyn OrderStore,
    arguments: &ProofArguments,
    out: &mut (dyn Write + Send),
) -> Result<u8, Failure> {
    let order = find(store, &arguments.id, SystemClock.now()).await?;
    if !order.is_settled() {
        return Err(Failure::TooEarly("the order is not settled; `show` tells how far it is"));
    }
    let record = ProofRecord::of(&order, store.history(&order.key).await?);
    serde_json::to_writer_pretty(&mut *out, &record).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(DONE)
}

/// The order of this name.
pub(super) async fn find(store: &dyn OrderStore, name: &str, now: UnixSeconds) -> Result<Order, Failure> {
    let found = if let Ok(id) = name.parse() {
        lookup::by_id(store, id, now).await?
    } else if let Some(key) = key(name) {
        store.find(&key, now).await?
    } else if name.starts_with("0x") {
        let by = |order: &Order| transaction(order).is_some_and(|hash| hash.eq_ignore_ascii_case(name));
        lookup::first(store, &Filter::default(), now, by).await?
    } else {
        return Err(Failure::NotFound(format!(
            "{name:?}: an id has 32 lower-case hexadecimal digits, a key 64, a transaction 0x and 64"
        )));
    };
    found.ok_or_else(|| Failure::NotFound(name.to_owned()))
}

fn key(text: &str) -> Option<PaymentKey> {
    serde_json::from_value(text.into()).ok()
}

fn show(
    out: &mut (dyn Write + Send),
    order: &Order,
    history: &[Transition],
    now: UnixSeconds,
) -> Result<(), Failure> {
    let option = &order.terms.option;
    let mut line = |name: &str, value: &str| writeln!(out, "{name:14} {}", plain(value));
    line("order", &order.id.to_string())?;
    line("status", order.status().as_str())?;
    for attention in order.attention(now) {
        line("attention", attention.as_str())?;
    }
    line("payment", &name(&order.state.payment))?;
    line("delivery", &name(&order.state.delivery))?;
    if let Some(reason) = &order.reason {
        line("reason", reason)?;
    }
    line("route", &order.terms.route)?;
    if let Some(provenance) = &order.provenance {
        line("request", &format!("{} {}", provenance.method, provenance.path))?;
        line("binding", &name(&provenance.binding))?;
        line("verified by", &name(&provenance.verified_by))?;
    }
    line("amount", &money(option.amount, &option.network, &option.asset))?;
    if let Some(charge) = order.charge {
        line("charged", &money(charge, &option.network, &option.asset))?;
    }
    line("network", option.network.as_str())?;
    line("asset", &option.asset)?;
    line("pay to", &option.pay_to)?;
    line("payer", &order.payer)?;
    if let Some(transaction) = transaction(order) {
        line("transaction", transaction)?;
    }
    if let Some(block) = order.settlement.as_ref().and_then(|settlement| settlement.block) {
        line("block", &block.to_string())?;
    }
    line("payment key", &order.key.to_string())?;
    if let Some(id) = &order.payment_id {
        line("payment id", id.as_str())?;
    }
    line("attempts", &order.state.attempts.to_string())?;
    line("opened", &time::text(order.created_at))?;
    line("changed", &time::text(order.updated_at))?;
    line("expires", &time::text(order.valid_before))?;
    if let Some(until) = order.leased_until.filter(|until| now < *until) {
        line("worked on until", &time::text(until))?;
    }
    for change in history {
        let (payment, delivery) = (name(&change.payment), name(&change.delivery));
        let at = time::text(change.at);
        writeln!(out, "  {at}  {:16}  {payment}/{delivery}", plain(&change.event))?;
    }
    Ok(())
}

/// The name that it has in documents.
fn name(of: &impl serde::Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
