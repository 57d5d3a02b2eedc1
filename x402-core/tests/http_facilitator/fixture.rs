//! Payments out of recorded requests.

use std::{fs, path::PathBuf, sync::Arc};

use serde_json::{Value, json, value::RawValue};
use x402_core::{
    facilitator::Payment,
    price::{NetworkId, PriceOption},
    scheme::{ExactEvmStructure, UptoEvmStructure},
    wire::{PaymentPayload, Presented, v2::ResourceInfo},
};

/// A transaction's id.
pub(crate) const TRANSACTION: &str = "0x702723bb8167c6c05a4a8d7caec4ae7313fc7ecbca0a3fe467c163ab28285ba5";

/// The cases of a file of recorded exchanges.
pub(crate) fn cases(file: &str) -> Vec<Value> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "tests", "data", "vectors", file].iter().collect();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let content: Value = serde_json::from_str(&text).unwrap();
    content["cases"].as_array().unwrap().clone()
}

/// The payment behind a recorded request, if its authorization is of a kind that is read here.
pub(crate) fn payment(request: &Value) -> Option<Payment> {
    let json = RawValue::from_string(request["paymentPayload"].to_string()).unwrap();
    let message = PaymentPayload::from_json(&json).unwrap();
    let terms = &request["paymentRequirements"];
    let text = |name: &str| terms[name].as_str().unwrap_or_default();
    let network = match &message {
        PaymentPayload::V1(_) => NetworkId::from_v1_name(text("network"))?,
        PaymentPayload::V2(_) => text("network").parse().unwrap(),
    };
    let amount = terms.get("amount").unwrap_or(&terms["maxAmountRequired"]).as_str().unwrap();
    let amount = amount.parse::<x402_core::price::AtomicAmount>().unwrap();
    let mut option = PriceOption::new(network, text("asset"), amount, text("payTo"));
    option.scheme = text("scheme").into();
    option.max_timeout_seconds = terms["maxTimeoutSeconds"].as_u64().unwrap();
    option.extra = Arc::new(terms["extra"].as_object().cloned().unwrap_or_default());
    let resource = ResourceInfo {
        url: text("resource").to_owned(),
        description: Some(text("description").to_owned()),
        mime_type: Some(text("mimeType").to_owned()),
        ..ResourceInfo::default()
    };
    let read =
        if option.is_upto() { UptoEvmStructure::authorization } else { ExactEvmStructure::authorization };
    let authorization = read(message.scheme_payload(), &option).ok()?;
    Some(Payment::new(Presented { payment: message, json }, option, resource, authorization))
}

/// A good payment of version 2.
pub(crate) fn good() -> Payment {
    payment(&cases("facilitator-v2.json")[0]["request"]).unwrap()
}

/// A good payment of version 1.
pub(crate) fn good_v1() -> Payment {
    payment(&cases("facilitator-v1.json")[0]["request"]).unwrap()
}

/// The signature in a payment.
pub(crate) fn signature(payment: &Payment) -> String {
    payment.presented.payment.scheme_payload()["signature"].as_str().unwrap().to_owned()
}

/// The answer to a good settlement of [`good`].
pub(crate) fn settled() -> Value {
    json!({ "success": true, "transaction": TRANSACTION, "network": "eip155:84532", "payer": good().authorization.payer })
}

/// The answer to a settlement that failed for a reason.
pub(crate) fn failed(reason: &str, transaction: &str) -> Value {
    json!({ "success": false, "errorReason": reason, "transaction": transaction, "network": "eip155:84532" })
}
