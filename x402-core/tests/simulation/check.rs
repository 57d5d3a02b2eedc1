//! What must be true when all is over: the books and the chain agree.

use x402_core::{
    order::{Attention, DeliveryState, MAX_PAID_RUNS, Order, PaymentState},
    scheme::PaymentKey,
};

use crate::{
    chain::Sender,
    client::Client,
    world::{Memory, World, short},
};

/// Holds the store against the chain, and both against what clients got.
pub(crate) fn check(world: &World, clients: &[std::sync::Arc<Client>]) {
    for client in clients {
        let signed = client.signed();
        let charged = signed.iter().filter(|signed| world.chain().paid(signed.key.as_bytes()).is_some());
        // A refusal asks the payer to sign anew, and does not call back a copy that was presented before it.
        let (late, charged): (Vec<_>, Vec<_>) =
            charged.partition(|signed| world.chain().was_refused(signed.key.as_bytes()));
        if !late.is_empty() && signed.len() > 1 {
            world.count("charged for a copy of a payment that was refused");
        }
        let charged = charged.len();
        if charged > 1 && world.forgot().is_none() {
            let last = short(&signed.last().unwrap().key);
            world.broken(format!("{last}: its payer was charged {charged} times for one purchase"));
        }
        for (number, one) in signed.iter().enumerate() {
            let fault = fault(world, &one.key, number + 1 == signed.len());
            if let Some(fault) = fault {
                let order = world.rows().orders.get(&one.key).map(|row| row.order.clone());
                world.broken(format!("{}: {fault}: {order:?}", short(&one.key)));
            }
        }
    }
}

fn fault(world: &World, key: &PaymentKey, is_last: bool) -> Option<&'static str> {
    let paid = world.chain().paid(key.as_bytes()).map(|(settlement, by)| (settlement.clone(), by));
    let rows = world.rows();
    let order = rows.orders.get(key).map(|row| &row.order);
    let deliveries = world.deliveries();
    let delivered = !deliveries.of(key).is_empty();
    let now = world.now();
    if order.is_some_and(|order| order.is_leased(now)) {
        return Some("never let go of");
    }
    if world.forgot().is_some() {
        return None;
    }
    match (paid, order) {
        (Some((_, by)), None) => {
            let refused = by == Sender::Stranger && world.climate.memory != Memory::Permanent;
            (!refused).then_some("paid, and not remembered")
        }
        (Some((settlement, by)), Some(order)) => {
            world.count("paid");
            if by == Sender::Stranger && world.climate.memory != Memory::Permanent && refused_as_used(order) {
                return None;
            }
            match order.state.payment {
                PaymentState::Settled => {}
                PaymentState::Unresolved if !world.climate.witness => {
                    return (!order.needs(Attention::SettlementUnknown, now)).then_some("not listed");
                }
                _ => return Some("paid, and not recorded"),
            }
            if order.settlement.as_ref().is_none_or(|known| known.transaction != settlement.transaction) {
                return Some("settled by another transaction");
            }
            if is_last && !delivered && order.state.attempts < MAX_PAID_RUNS {
                return Some("paid, and its payer cannot have it");
            }
            let told = order.state.delivery == DeliveryState::Delivered
                || order.needs(Attention::PaidUndelivered, now);
            (!told).then_some("neither delivered nor owed")
        }
        (None, order) => {
            let payment = order.map(|order| order.state.payment);
            let over = match payment {
                None | Some(PaymentState::Rejected | PaymentState::Failed | PaymentState::Expired) => true,
                Some(PaymentState::Unresolved) => !world.climate.witness,
                _ => false,
            };
            if !over {
                return Some("not paid, and not over");
            }
            let listed = order.is_some_and(|order| {
                order.needs(Attention::DeliveredUnsettled, now)
                    || (order.state.deferred && order.needs(Attention::SettlementUnknown, now))
            });
            (delivered && !listed).then_some("delivered unpaid, and not listed")
        }
    }
}

/// Where a store may forget, what a stranger sent first is refused, whatever it paid.
fn refused_as_used(order: &Order) -> bool {
    order.state.payment != PaymentState::Settled && !order.dead
}
