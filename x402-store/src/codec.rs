//! Orders and responses as documents.
//!
//! An order is JSON. A response is binary: its body may be anything and large.

use std::borrow::Cow;

use bytes::{Buf, BufMut, Bytes};
use x402_core::order::{KeptPayment, Order, StoreError, StoredResponse};

pub(crate) fn order_to_json(order: &Order) -> String {
    serde_json::to_string(order).expect("an order is a document")
}

pub(crate) fn order_from_json(json: &str) -> Result<Order, StoreError> {
    serde_json::from_str(json).map_err(|error| unreadable("order", place(&error)))
}

pub(crate) fn payment_to_json(payment: &KeptPayment) -> String {
    serde_json::to_string(payment).expect("a payment is a document")
}

pub(crate) fn payment_from_json(json: &str) -> Result<KeptPayment, StoreError> {
    serde_json::from_str(json).map_err(|error| unreadable("payment", place(&error)))
}

/// Status, number of headers, each with lengths, then the body.
pub(crate) fn response_to_bytes(response: &StoredResponse) -> Vec<u8> {
    let mut out = Vec::with_capacity(response.size());
    out.put_u16(response.status);
    out.put_u32(length(response.headers.len()));
    for (name, value) in &response.headers {
        for part in [name.as_bytes(), value] {
            out.put_u32(length(part.len()));
            out.put_slice(part);
        }
    }
    out.put_slice(&response.body);
    out
}

pub(crate) fn response_from_bytes(mut from: Bytes) -> Result<StoredResponse, StoreError> {
    let short = |_| unreadable("response", "it is cut off");
    let status = from.try_get_u16().map_err(short)?;
    let count = from.try_get_u32().map_err(short)?;
    let mut part = || {
        let length = from.try_get_u32().map_err(short)? as usize;
        if from.len() < length {
            Err(unreadable("response", "it is cut off"))
        } else {
            Ok(from.split_to(length))
        }
    };
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = String::from_utf8(part()?.to_vec())
            .map_err(|_| unreadable("response", "a header's name is no text"))?;
        headers.push((Cow::Owned(name), part()?));
    }
    Ok(StoredResponse::new(status, headers, from))
}

fn length(of: usize) -> u32 {
    u32::try_from(of).expect("what is kept is far below 4 GiB")
}

/// Where reading ended. The error's own text may quote what it read.
fn place(error: &serde_json::Error) -> String {
    format!("it is no such document from column {} on", error.column())
}

/// Never with the content: it may hold what must not reach a log.
fn unreadable(what: &'static str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("a stored {what} cannot be read: {why}").into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use x402_core::{
        order::{Event, MemoryStore, OpenRequest, PaymentId},
        testing::store_contract::Payments,
    };

    use super::*;

    #[test]
    fn responses_come_back_as_they_were_and_cut_off_ones_do_not() {
        let headers =
            vec![("content-type".into(), "text/plain".into()), ("x".into(), Bytes::from_static(&[0xff, 0]))];
        let response = StoredResponse::new(201, headers, Bytes::from_static(b"\0sunny"));
        let bytes = response_to_bytes(&response);
        assert_eq!(response_from_bytes(bytes.clone().into()).unwrap(), response);
        for cut in 0..bytes.len() - response.body.len() {
            assert!(response_from_bytes(bytes[..cut].to_vec().into()).is_err(), "{cut}");
        }
    }

    /// Lost answers are told by it.
    #[tokio::test]
    async fn an_order_that_was_read_is_written_the_same() {
        let payments = Payments::new(Arc::new(MemoryStore::new()));
        let request =
            OpenRequest { payment_id: PaymentId::new("breakfast-of-monday").ok(), ..payments.request(0) };
        let (lease, settled) = payments.settle(&request, None).await;
        let delivered = payments.report(&lease, [Event::Delivered]).await;
        for order in [Order::opened(&request, 1, payments.now), settled, delivered] {
            let json = order_to_json(&order);
            assert_eq!(order_to_json(&order_from_json(&json).unwrap()), json);
        }
    }

    /// As they were before.
    #[test]
    fn an_order_without_a_charge_is_read_as_one_of_a_fixed_price() {
        let payments = Payments::new(Arc::new(MemoryStore::new()));
        let order = Order::opened(&payments.request(0), 1, payments.now);
        let json = order_to_json(&order);
        assert!(!json.contains("charge") && !json.contains("metered"));
        let read = order_from_json(&json).unwrap();
        assert_eq!(
            (read.charge, read.state.metered, read.amount()),
            (None, false, order.terms.option.amount)
        );
        let mut charged = order;
        charged.charge = Some(7.into());
        assert_eq!(order_from_json(&order_to_json(&charged)).unwrap().amount(), 7.into());
    }

    #[test]
    fn what_cannot_be_read_is_not_quoted() {
        let signed = r#"{"json":"0xsigned","resource":"0xsigned"}"#;
        let errors = [
            payment_from_json(signed).map(drop).unwrap_err(),
            order_from_json(r#"{"id":"0xsigned"}"#).map(drop).unwrap_err(),
        ];
        for error in errors {
            let StoreError::Unavailable(why) = error else { panic!("{error}") };
            assert!(!why.to_string().contains("signed"), "{why}");
        }
    }
}
