//! Errors become responses here, and nowhere else.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::json;

use crate::{
    Reply,
    error::{BodyError, Conflict, Malformed, RejectReason, Unavailable},
    facilitator::Settlement,
    order::StoredResponse,
    wire::{
        X402Version,
        header::{PAYMENT_RESPONSE, X_PAYMENT_RESPONSE, encode},
        v2::SettlementResponse,
    },
};

pub(super) const NO_STORE: Bytes = Bytes::from_static(b"no-store");
pub(super) const VARY: Bytes = Bytes::from_static(b"PAYMENT-SIGNATURE, X-PAYMENT");

/// 400: cannot be read in one way.
pub(super) fn malformed(error: Malformed) -> Reply {
    coded(400, error.code()).header("cache-control", NO_STORE)
}

/// 413, 400 or 408: the body cannot be bound.
pub(crate) fn body_refused(error: BodyError) -> Reply {
    coded(error.status(), error.code()).header("cache-control", NO_STORE)
}

/// 404: the table refuses what it does not name.
pub(super) fn no_price() -> Reply {
    coded(404, "no_price").header("cache-control", NO_STORE)
}

/// 405 for a method without a rule, 204 for `OPTIONS`, on a priced path.
pub(super) fn allow(status: u16, allow: Bytes) -> Reply {
    Reply::new(status).header("allow", allow).header("vary", VARY)
}

/// 409; with the receipt of the payment that was made, if it was.
pub(super) fn conflict(error: Conflict, paid: Option<&Settlement>, version: X402Version) -> Reply {
    let reply = uncached(409, error.code());
    let reply = match error {
        Conflict::InProgress => reply.header("retry-after", Bytes::from_static(b"1")),
        _ => reply,
    };
    match paid {
        Some(settlement) => with_receipt(reply, &settlement.receipt(version), version),
        None => reply,
    }
}

/// 503: ours to mend, so never a challenge.
pub(super) fn unavailable(error: Unavailable) -> Reply {
    uncached(503, error.code()).header("retry-after", Bytes::from(error.retry_after().to_string()))
}

/// 403: a hook said no.
pub(super) fn vetoed(code: &'static str) -> Reply {
    let body = json!({ "error": code }).to_string();
    Reply::new(403).json(body).header("cache-control", NO_STORE).header("vary", VARY)
}

/// 402, or 412, without a challenge: the settlement failed and the authorization may still be good.
pub(super) fn settlement_failed(
    reason: &RejectReason,
    receipt: &SettlementResponse,
    version: X402Version,
) -> Reply {
    let error = receipt.error_reason.as_deref().unwrap_or("unexpected_settle_error");
    let body = json!({ "x402Version": version, "error": error }).to_string();
    let reply =
        Reply::new(reason.status(version)).json(body).header("cache-control", NO_STORE).header("vary", VARY);
    with_receipt(reply, receipt, version)
}

/// A kept response, sent again; with the receipt, if it is settled.
pub(super) fn replay(response: &StoredResponse, paid: Option<&Settlement>, version: X402Version) -> Reply {
    let mut reply = Reply::new(response.status);
    reply.headers.clone_from(&response.headers);
    reply.headers.push((Cow::Borrowed("idempotent-replayed"), Bytes::from_static(b"true")));
    reply.body = response.body.clone();
    match paid {
        Some(settlement) => with_receipt(reply, &settlement.receipt(version), version),
        None => reply,
    }
}

/// The header that carries a receipt in a dialect.
pub(super) const fn receipt_header(version: X402Version) -> &'static str {
    match version {
        X402Version::V1 => X_PAYMENT_RESPONSE,
        X402Version::V2 => PAYMENT_RESPONSE,
    }
}

pub(super) fn with_receipt(reply: Reply, receipt: &SettlementResponse, version: X402Version) -> Reply {
    reply.header(receipt_header(version), encode(receipt))
}

fn uncached(status: u16, code: &'static str) -> Reply {
    coded(status, code).header("cache-control", NO_STORE).header("vary", VARY)
}

fn coded(status: u16, code: &'static str) -> Reply {
    Reply::new(status).json(format!("{{\"error\":\"{code}\"}}"))
}
