//! What a script is given to write a row, as `shared.lua` lists it.

use std::time::Duration;

use x402_core::{order::Order, scheme::PaymentKey};

use super::{keys::Keys, page::position, record, rows::Kept};
use crate::{
    codec::{payment_to_json, response_to_bytes},
    rows::Change,
};

pub(super) struct Writing {
    keys: Vec<String>,
    arguments: [Vec<u8>; 16],
}

impl Writing {
    pub(super) fn new(change: &Change, keys: &Keys, kept: Kept) -> Self {
        let Change { row, transition, response, payment } = change;
        let order = &row.order;
        let mut names = keys.indices(order.key.shard());
        names.extend([keys.row(&order.key), keys.response(&order.key), keys.payment(&order.key)]);
        names.extend([keys.history(&order.key), keys.id(order.key.shard(), order.id)]);
        names.extend(keys.name(order));
        let response = response.as_ref().filter(|response| response.size() <= kept.bytes);
        let transition =
            transition.as_ref().map(|line| serde_json::to_vec(line).expect("a line is a document"));
        let owing =
            if order.owes_settlement() { order.payer.to_ascii_lowercase().into_bytes() } else { Vec::new() };
        let arguments = [
            record::to_text(row).into_bytes(),
            Vec::new(),
            record::digits(order.fence).into_bytes(),
            order.id.to_string().into_bytes(),
            row.owner.to_string().into_bytes(),
            milliseconds(time_to_live(order)),
            order.key.to_string().into_bytes(),
            order.due().map(|due| due.get().min(EXACT).to_string().into_bytes()).unwrap_or_default(),
            position(order.created_at, &order.key).to_string().into_bytes(),
            owing,
            transition.unwrap_or_default(),
            response.map(|response| response_to_bytes(response)).unwrap_or_default(),
            milliseconds(kept.lifetime),
            payment.as_ref().map(|payment| payment_to_json(payment).into_bytes()).unwrap_or_default(),
            Vec::new(),
            Vec::new(),
        ];
        Self { keys: names, arguments }
    }

    /// The version that must be there.
    pub(super) fn before(&mut self, version: Option<u64>) {
        self.arguments[1] = version.map(record::digits).unwrap_or_default().into_bytes();
    }

    /// Who has the identifier, in a version in which it has no use for it.
    pub(super) fn namesake(&mut self, row: String, key: &PaymentKey, version: Option<u64>) {
        self.keys.push(row);
        self.arguments[14] = key.to_string().into_bytes();
        self.arguments[15] = version.map(record::digits).unwrap_or_default().into_bytes();
    }

    pub(super) fn keys(&self) -> &[String] {
        &self.keys
    }

    pub(super) fn arguments(&self) -> [&[u8]; 16] {
        self.arguments.each_ref().map(Vec::as_slice)
    }
}

/// For how long the row is needed at least: nobody works on it, and it need not be remembered. Counted from when the
/// order last changed, which is now or was before.
fn time_to_live(order: &Order) -> Duration {
    let needed = order.leased_until.map_or(order.keep_until, |lease| order.keep_until.max(lease));
    needed.since(order.updated_at).saturating_add(MARGIN).min(LONGEST)
}

fn milliseconds(duration: Duration) -> Vec<u8> {
    duration.as_millis().max(1).to_string().into_bytes()
}

/// Clocks of those who write may differ by so much.
pub(super) const MARGIN: Duration = Duration::from_secs(60);
/// No longer time is asked for: Redis counts to the end of its own.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// Up to here scores are exact.
const EXACT: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use x402_core::{
        order::{Event, MemoryStore},
        testing::store_contract::Payments,
        time::UnixSeconds,
    };

    use super::*;

    #[test]
    fn a_row_lives_as_long_as_it_must_be_remembered_and_never_shorter_than_its_lease() {
        let payments = Payments::new(Arc::new(MemoryStore::new()));
        let request = payments.request(0);
        let mut order = Order::opened(&request, 1, payments.now);
        let seconds = |order: &Order| (time_to_live(order) - MARGIN).as_secs();
        assert_eq!(seconds(&order), request.keep_until.since(payments.now).as_secs());
        order.leased_until = Some(request.keep_until.after(Duration::from_secs(5)));
        assert_eq!(seconds(&order), request.keep_until.since(payments.now).as_secs() + 5);
        order.apply(&Event::VerifyRejected { reason: "expired".into() }, payments.now).unwrap();
        assert_eq!(seconds(&order), 60, "it is soon forgotten");
        order.keep_until = UnixSeconds::MAX;
        assert_eq!(time_to_live(&order), LONGEST);
        order.keep_until = UnixSeconds::new(0);
        assert_eq!(time_to_live(&order), MARGIN);
    }
}
