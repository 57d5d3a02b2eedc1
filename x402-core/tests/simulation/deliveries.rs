//! What arrived at clients, and whether it may have.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::time::Instant;
use x402_core::scheme::PaymentKey;

use crate::{
    process::Process,
    world::{Forgot, World, short},
};

/// Responses by payment.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    by_key: BTreeMap<PaymentKey, Vec<Delivery>>,
    runs: BTreeMap<u64, Run>,
    /// Of each payer: responses that were sent before their payments were settled.
    at_risk: BTreeMap<String, BTreeSet<PaymentKey>>,
}

/// A run of the handler.
#[derive(Debug)]
pub(crate) struct Run {
    /// What was asked for.
    pub(crate) path: String,
    /// Under which its order was held when it began.
    pub(crate) fence: Option<u64>,
    pub(crate) process: Arc<Process>,
}

/// A run of the handler whose response arrived in full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    pub(crate) run: u64,
    /// When its first byte was sent.
    pub(crate) begun: Instant,
}

impl Deliveries {
    pub(crate) fn of(&self, key: &PaymentKey) -> &[Delivery] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn begins(&mut self, number: u64, run: Run) {
        self.runs.insert(number, run);
    }

    fn fence_of(&self, run: u64) -> Option<u64> {
        self.runs.get(&run)?.fence
    }
}

/// The first byte of a handler's response leaves. Nobody else may have the order: whoever looks at its lease last looks
/// here.
pub(crate) fn leaves_from_handler(world: &World, key: &PaymentKey, run: u64) {
    let began = world.deliveries().fence_of(run);
    let holds = world.rows().orders.get(key).map(|row| row.order.fence);
    if began != holds && world.forgot().is_none() {
        world.broken(format!(
            "{}: the response of run {run} leaves, begun under {began:?} and overtaken by {holds:?}",
            short(key)
        ));
    }
}

/// The first byte of a response leaves.
pub(crate) fn leaves(world: &World, key: &PaymentKey, payer: &str, deferred: bool) {
    let is_paid = |key: &PaymentKey| world.chain().paid(key.as_bytes()).is_some();
    if is_paid(key) {
        return;
    }
    if !deferred {
        world.broken(format!("{}: a response leaves unpaid", short(key)));
        return;
    }
    world.count("sent before it was settled");
    let mut deliveries = world.deliveries();
    let at_risk = deliveries.at_risk.entry(payer.to_owned()).or_default();
    at_risk.insert(*key);
    // What has failed no longer counts; what the store has not heard of yet does.
    let rows = world.rows();
    let owes = |key: &PaymentKey| rows.orders.get(key).is_some_and(|row| row.order.owes_settlement());
    at_risk.retain(owes);
    // Each server may be about to add what the other does not see yet.
    let most = world.climate.per_payer * SERVERS;
    let many = at_risk.len() as u64;
    drop(rows);
    if many > most {
        world.broken(format!("{many} responses to {payer} are out unsettled, more than {most}"));
    }
}

/// A kept response is sent again: it was made for the request that gets it.
pub(crate) fn is_sent_again(world: &World, run: u64, path: &str) {
    let deliveries = world.deliveries();
    let made_for = deliveries.runs.get(&run).map(|run| &*run.path);
    if made_for != Some(path) {
        world.broken(format!("the response to {made_for:?} was sent to {path}"));
    }
}

/// A response arrived in full.
pub(crate) fn arrives(world: &World, key: &PaymentKey, run: u64, begun: Instant, deferred: bool) {
    let mut deliveries = world.deliveries();
    let of_key = deliveries.by_key.entry(*key).or_default();
    if of_key.iter().any(|delivery| delivery.run == run) {
        return;
    }
    of_key.push(Delivery { run, begun });
    of_key.sort_by_key(|delivery| delivery.begun);
    if of_key.len() == 1 {
        world.count("delivered");
        return;
    }
    let of_key = deliveries.of(key);
    let lost = of_key.windows(2).all(|two| was_lost(world, &deliveries, key, &two[0], &two[1]));
    if lost {
        world.count("delivered twice: its holder was gone");
    } else if world.rows().lost_responses.contains(key) {
        world.count("delivered twice: a response sent again was forgotten");
    } else if world.forgot() == Some(Forgot::LastSeconds) || (deferred && world.forgot().is_some()) {
        world.count("delivered twice: the store forgot");
    } else {
        let runs: Vec<_> = of_key.iter().map(|delivery| delivery.run).collect();
        world.broken(format!("{}: delivered more than once, runs {runs:?}", short(key)));
    }
}

/// Whether the holder of a response had no means to call it back: it died, stood still or was not heard while its
/// response was out, or when it had arrived, and somebody else took over.
fn was_lost(
    world: &World,
    deliveries: &Deliveries,
    key: &PaymentKey,
    one: &Delivery,
    next: &Delivery,
) -> bool {
    let Some(Run { fence: Some(fence), process, .. }) = deliveries.runs.get(&one.run) else { return false };
    let rows = world.rows();
    let mut lapses = rows.orders.get(key).into_iter().flat_map(|row| &row.lapses);
    lapses.any(|(at, overtaken)| {
        overtaken == fence
            && (one.begun..=next.begun).contains(at)
            && process.was_troubled(key, one.begun, *at)
    })
}

const SERVERS: u64 = 2;
