//! A change as the columns that are written. Made before the writer's turn, so that it only writes.

use x402_core::{
    order::{Order, Transition},
    time::UnixSeconds,
};

use crate::{
    codec::{order_to_json, payment_to_json, response_to_bytes},
    rows::{Change, one_case},
};

pub(super) struct Columns {
    pub(super) key: [u8; 32],
    pub(super) id: [u8; 16],
    pub(super) payer: Box<str>,
    pub(super) payment_id: Option<Box<str>>,
    pub(super) route: Box<str>,
    pub(super) status: &'static str,
    pub(super) payment: String,
    pub(super) delivery: String,
    pub(super) created_at: i64,
    pub(super) due_at: Option<i64>,
    pub(super) deferred: bool,
    pub(super) owes: bool,
    pub(super) network: Option<Box<str>>,
    pub(super) transaction: Option<String>,
    pub(super) log_index: Option<i64>,
    pub(super) document: String,
    pub(super) owner: [u8; 16],
    pub(super) version: i64,
    pub(super) transition: Option<Transition>,
    pub(super) response: Option<Vec<u8>>,
    pub(super) kept_payment: Option<String>,
}

impl Columns {
    pub(super) fn of(change: &Change) -> Self {
        let order = &change.row.order;
        let settlement = order.settlement.as_deref();
        Self {
            key: *order.key.as_bytes(),
            id: *order.id.as_bytes(),
            payer: order.payer.as_ref().into(),
            payment_id: order.payment_id.as_ref().map(|id| id.as_str().into()),
            route: order.terms.route.as_ref().into(),
            status: order.status().as_str(),
            payment: payment_word(order),
            delivery: delivery_word(order),
            created_at: seconds(order.created_at),
            due_at: order.due().map(seconds),
            deferred: order.state.deferred,
            owes: order.owes_settlement(),
            network: settlement.map(|settlement| settlement.network.as_str().into()),
            transaction: settlement.map(|settlement| one_case(&settlement.transaction)),
            log_index: settlement.and_then(|settlement| settlement.log_index).map(integer),
            document: order_to_json(order),
            owner: *change.row.owner.as_bytes(),
            version: integer(change.row.version),
            transition: change.transition.clone(),
            response: change.response.as_deref().map(response_to_bytes),
            kept_payment: change.payment.as_deref().map(payment_to_json),
        }
    }
}

fn payment_word(order: &Order) -> String {
    word(serde_json::to_value(order.state.payment))
}

fn delivery_word(order: &Order) -> String {
    word(serde_json::to_value(order.state.delivery))
}

/// The word of a document that a state has.
pub(super) fn word(of: serde_json::Result<serde_json::Value>) -> String {
    match of {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("a state is a word, not {other:?}"),
    }
}

/// Times that never come are as good as the last one that SQLite can compare.
pub(super) fn seconds(of: UnixSeconds) -> i64 {
    integer(of.get())
}

pub(super) fn integer(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
