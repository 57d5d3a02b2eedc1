//! A step as the columns of a row.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use x402_core::{
    order::{Attention, Order, StoredResponse},
    time::UnixSeconds,
};

use crate::{
    codec::{order_to_json, payment_to_json},
    rows::{Change, one_case},
};

/// What a step writes. The document is the order; all else is there to find it by, or to hold rules to.
pub(super) struct Record {
    pub(super) key: [u8; 32],
    pub(super) id: [u8; 16],
    pub(super) version: i64,
    pub(super) owner: [u8; 16],
    pub(super) document: String,
    pub(super) payer: String,
    pub(super) payment_id: Option<String>,
    pub(super) route: String,
    pub(super) status: &'static str,
    pub(super) payment: String,
    pub(super) delivery: String,
    pub(super) attention: bool,
    pub(super) owes: bool,
    pub(super) created_at: i64,
    pub(super) due_at: Option<i64>,
    pub(super) settlement: Option<Settled>,
    pub(super) kept: Option<String>,
    pub(super) event: Option<Logged>,
    pub(super) response: Option<Arc<StoredResponse>>,
    pub(super) expires_at: i64,
}

/// The settlement, which never changes, and the name of its transfer.
pub(super) struct Settled {
    pub(super) network: String,
    pub(super) transaction: String,
    pub(super) log_index: Option<i64>,
    pub(super) document: String,
}

/// What happened.
pub(super) struct Logged {
    pub(super) at: i64,
    pub(super) event: String,
    pub(super) fence: i64,
}

/// What is kept of responses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    pub(super) lifetime: Duration,
    pub(super) limit: usize,
}

impl Record {
    pub(super) fn of(change: &Change, keeping: Keeping) -> Self {
        let order = &change.row.order;
        // Responses come with an event, whose time is the present.
        let now = change.transition.as_ref().map_or(order.updated_at, |transition| transition.at);
        let response = change.response.as_ref().filter(|response| response.size() <= keeping.limit);
        Self {
            key: *order.key.as_bytes(),
            id: *order.id.as_bytes(),
            version: number(change.row.version),
            owner: *change.row.owner.as_bytes(),
            document: order_to_json(order),
            payer: text(&order.payer),
            payment_id: order.payment_id.as_ref().map(|id| id.as_str().to_owned()),
            route: text(&order.terms.route),
            status: order.status().as_str(),
            payment: word(serde_json::to_value(order.state.payment)),
            delivery: word(serde_json::to_value(order.state.delivery)),
            attention: Attention::ALL.into_iter().any(|attention| may_need(order, attention)),
            owes: order.owes_settlement(),
            created_at: seconds(order.created_at),
            due_at: order.due().map(seconds),
            settlement: order.settlement.as_ref().map(|settlement| Settled {
                network: text(settlement.network.as_ref()),
                transaction: text(&one_case(&settlement.transaction)),
                log_index: settlement.log_index.and_then(|index| i64::try_from(index).ok()),
                document: serde_json::to_string(settlement).expect("a settlement is a document"),
            }),
            kept: change.payment.as_ref().map(|payment| payment_to_json(payment)),
            event: change.transition.as_ref().map(|transition| Logged {
                at: seconds(transition.at),
                event: text(&transition.event),
                fence: number(transition.fence),
            }),
            response: response.cloned(),
            expires_at: seconds(now.after(keeping.lifetime)),
        }
    }

    /// About how many bytes it takes on its way.
    pub(super) fn size(&self) -> usize {
        let response = self.response.as_ref().map_or(0, |response| response.size());
        let kept = self.kept.as_ref().map_or(0, String::len);
        self.document.len() + response + kept
    }
}

/// Whether an order may need this attention as it is, sooner or later.
fn may_need(order: &Order, attention: Attention) -> bool {
    order.needs(attention, UnixSeconds::MAX)
}

/// The name of a state, as in the document.
fn word(state: serde_json::Result<Value>) -> String {
    match state {
        Ok(Value::String(word)) => word,
        other => unreachable!("a state is a word, not {other:?}"),
    }
}

/// As the database counts. What is later than it can say never comes.
pub(super) fn seconds(at: UnixSeconds) -> i64 {
    number(at.get())
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Columns hold any text but the character zero, and some of it comes from elsewhere.
pub(super) fn text(from: &str) -> String {
    from.replace('\0', "\u{fffd}")
}
