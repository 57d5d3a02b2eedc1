use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    facilitator::Settlement,
    order::{Event, OpenRequest, OwnerToken, Provenance, RequestFingerprint, StoredResponse, Terms},
    price::PriceOption,
};

const NOW: UnixSeconds = UnixSeconds::new(1_800_000_000);

fn option() -> PriceOption {
    PriceOption::new(
        "eip155:84532".parse().unwrap(),
        "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        10_000,
        "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    )
    .signing_domain("USDC", "2")
}

/// A quote as the server makes it, and what it is remembered as.
fn quote() -> QuoteMark {
    let fields = Fields {
        id: [1; 16],
        nonce: [2; 16],
        issued_at: NOW,
        expires_at: NOW.after(Duration::from_secs(120)),
        resource: [3; 32],
    };
    QuoteMark {
        id: fields.id,
        nonce: fields.nonce,
        resource: fields.resource,
        digest: fields.digest(&option_digest(&option().to_v2())),
        issued_at: fields.issued_at,
        expires_at: fields.expires_at,
    }
}

fn provenance() -> Provenance {
    let mut provenance =
        Provenance::new("GET".into(), "/weather/oslo".into(), [4; 32], UnixSeconds::new(7), Verifier::Local);
    provenance.query_digest = Some(Sha256::digest("units=c").into());
    provenance.quote = Some(quote());
    provenance.binding = BindingLevel::Quote;
    provenance
}

fn claimed(provenance: Option<Provenance>) -> Order {
    let key = PaymentKey::from_bytes([5; 32]);
    let request = OpenRequest {
        id: OrderId::of(&key, [6; 16]),
        key,
        payment_id: PaymentId::new("breakfast-of-alice").ok(),
        fingerprint: RequestFingerprint::from_bytes([7; 16]),
        digest: [4; 16],
        nonce: [8; 32],
        valid_before: NOW.after(Duration::from_secs(300)),
        provenance: provenance.map(Arc::new),
        terms: Arc::new(Terms::new("GET /weather/{city}".into(), option())),
        payer: "0x857b06519E91e3A54538791bDbb0E22373e36b66".into(),
        owner: OwnerToken::new([9; 16]),
        lease: Duration::from_secs(30),
        keep_until: NOW.after(Duration::from_secs(900)),
    };
    Order::opened(&request, 1, NOW)
}

/// Applies events as a store does, and keeps their history.
fn led(mut order: Order, events: impl IntoIterator<Item = Event>) -> (Order, Vec<Transition>) {
    let mut history = vec![Transition::to(&order, "opened", NOW)];
    for (index, event) in events.into_iter().enumerate() {
        let now = NOW.after(Duration::from_secs(index as u64 + 1));
        order.apply(&event, now).unwrap();
        history.push(Transition::to(&order, event.name(), now));
    }
    (order, history)
}

fn sold() -> [Event; 5] {
    let mut settlement = Settlement::new(
        "0xabcd".to_owned(),
        option().network,
        "0x857b06519E91e3A54538791bDbb0E22373e36b66".to_owned(),
        option().amount,
    );
    (settlement.log_index, settlement.block) = (Some(3), Some(77));
    let headers = vec![("set-cookie".into(), "secret".into())];
    let response = StoredResponse::new(200, headers, "sunny".into());
    [
        Event::VerifyOk,
        Event::HandlerStarted,
        Event::SettleStarted { response: Some(Arc::new(response)) },
        Event::SettleOk { settlement: Arc::new(settlement) },
        Event::Delivered,
    ]
}

#[test]
fn a_record_has_this_form() {
    let (order, history) = led(claimed(Some(provenance())), sold());
    let record = ProofRecord::of(&order, history);
    let transition = |at: u64, event: &str, payment: &str, delivery: &str| json!({ "at": NOW.get() + at, "event": event, "payment": payment, "delivery": delivery, "fence": 1 });
    let quote = quote();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let form = json!({
        "recordVersion": 1,
        "identity": {
            "orderId": "05060606060606060606060606060606",
            "paymentKey": "05".repeat(32),
            "paymentId": "breakfast-of-alice",
        },
        "quote": {
            "id": "01".repeat(16),
            "nonce": "02".repeat(16),
            "resource": "03".repeat(32),
            "digest": hex(&quote.digest),
            "issuedAt": 1_800_000_000,
            "expiresAt": 1_800_000_120,
        },
        "bindingLevel": "quote",
        "request": {
            "route": "GET /weather/{city}",
            "method": "GET",
            "path": "/weather/oslo",
            "queryDigest": hex(&Sha256::digest("units=c")),
        },
        "authorization": {
            "hash": "04".repeat(32),
            "nonce": "08".repeat(32),
            "payer": "0x857b06519E91e3A54538791bDbb0E22373e36b66",
            "validAfter": 7,
            "validBefore": 1_800_000_300,
        },
        "terms": {
            "scheme": "exact",
            "network": "eip155:84532",
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
            "amountQuoted": "10000",
            "amountSettled": "10000",
            "maxTimeoutSeconds": 300,
            "extra": { "name": "USDC", "version": "2" },
        },
        "verification": { "verifiedBy": "local", "verifiedAt": 1_800_000_001 },
        "settlement": { "transaction": "0xabcd", "logIndex": 3, "block": 77, "settledAt": 1_800_000_004 },
        "delivery": {
            "state": "delivered",
            "attempts": 1,
            "responseStatus": 200,
            "responseDigest": hex(&Sha256::digest("sunny")),
            "responseBytes": 5,
            "deliveredAt": 1_800_000_005,
        },
        "outcome": {
            "status": "completed",
            "payment": "settled",
            "createdAt": 1_800_000_000,
            "updatedAt": 1_800_000_005,
            "transitions": [
                transition(0, "opened", "verifying", "withheld"),
                transition(1, "verified", "verified", "withheld"),
                transition(2, "handler_started", "verified", "executing"),
                transition(3, "settle_started", "settling", "ready"),
                transition(4, "settled", "settled", "ready"),
                transition(5, "delivered", "settled", "delivered"),
            ],
        },
    });
    assert_eq!(serde_json::to_value(&record).unwrap(), form);
    assert_eq!(serde_json::from_value::<ProofRecord>(form).unwrap(), record);
}

#[test]
fn the_digest_of_a_quote_tells_a_changed_record() {
    let (order, history) = led(claimed(Some(provenance())), sold());
    let record = ProofRecord::of(&order, history);
    let recorded = record.quote.as_ref().map(|quote| quote.digest);
    assert_eq!(record.quote_digest(), recorded);
    let changes: [fn(&mut ProofRecord); 4] = [
        |record| record.terms.amount_quoted = 9_999.into(),
        |record| record.terms.pay_to = "0x0000000000000000000000000000000000000001".into(),
        |record| record.terms.extra = Arc::default(),
        |record| record.quote.as_mut().unwrap().resource = [0; 32],
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut record = record.clone();
        change(&mut record);
        assert_ne!(record.quote_digest(), recorded, "change {index}");
    }
}

#[test]
fn what_a_store_does_not_keep_is_left_out() {
    let (order, _) = led(claimed(None), sold());
    let record = serde_json::to_value(ProofRecord::of(&order, Vec::new())).unwrap();
    for absent in ["quote", "bindingLevel", "verification"] {
        assert!(record.get(absent).is_none(), "{absent}");
    }
    assert_eq!(record["request"], json!({ "route": "GET /weather/{city}" }));
    assert_eq!(record["settlement"].get("settledAt"), None);
    assert_eq!(record["delivery"], json!({ "state": "delivered", "attempts": 1 }));
    assert_eq!(record["outcome"]["transitions"], json!([]));
}

#[test]
fn a_response_that_is_run_for_again_is_not_the_recorded_one() {
    let started = [Event::VerifyOk, Event::HandlerStarted];
    let (order, _) = led(claimed(Some(provenance())), sold().into_iter().take(4));
    assert!(order.response.is_some());
    let (mut again, _) = led(claimed(Some(provenance())), started);
    again.apply(&Event::SettleStarted { response: None }, NOW).unwrap();
    assert!(again.response.is_none(), "a response that was not kept is not known");
}

#[test]
fn a_record_has_nothing_secret_in_it() {
    let (order, history) = led(claimed(Some(provenance())), sold());
    let text = serde_json::to_string(&ProofRecord::of(&order, history)).unwrap();
    for secret in ["units", "sunny", "set-cookie", "secret", "signature\""] {
        assert!(!text.contains(secret), "{secret}");
    }
}
