//! How refusals are named: by the list of the scheme, and of the way that the payment moves its token.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use x402_core::{
    error::RejectReason,
    price::{Price, PriceOption, PriceRule, Prices},
    testing::{FakeClock, FakeFacilitator, SettleAnswer, VerifyAnswer},
    time::UnixSeconds,
};

use crate::support::{NETWORK, NOW, PAY_TO, Request, World};

/// One route for each way to pay.
const ROUTES: [&str; 3] = ["/eip3009", "/permit2", "/upto"];

fn shop(local_proof: bool) -> World {
    let rule = |price: Price| PriceRule::new(price).max_timeout(Duration::from_secs(10));
    let usdc = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    let mut ceiling = PriceOption::new(NETWORK.parse().unwrap(), usdc, 10_000, PAY_TO)
        .upto("0x857b06519E91e3A54538791bDbb0E22373e36b66");
    ceiling.max_timeout_seconds = 10;
    let prices = Prices::new("https://api.example.com")
        .pay_to(NETWORK, PAY_TO)
        .charge("GET /eip3009", rule("$0.01".into()))
        .charge("GET /permit2", rule(Price::from("$0.01").permit2()))
        .charge("GET /upto", Price::options(vec![ceiling]))
        .build()
        .unwrap();
    let clock = FakeClock::new(UnixSeconds::new(NOW));
    let facilitator = FakeFacilitator::new().with_clock(clock.clone());
    let facilitator = if local_proof { facilitator.with_local_proof() } else { facilitator };
    World::over(prices, facilitator, clock, |builder| builder)
}

/// Reason; its code by EIP-3009, through Permit2, by `upto`.
fn reasons() -> Vec<(RejectReason, [&'static str; 3])> {
    use RejectReason as R;
    let at = UnixSeconds::new;
    let both = |eip3009, permit2| [eip3009, permit2, permit2];
    vec![
        (R::WrongSignature, both("invalid_exact_evm_signature", "invalid_permit2_signature")),
        (
            R::InsufficientFunds,
            both("invalid_exact_evm_insufficient_balance", "permit2_insufficient_balance"),
        ),
        (
            R::SimulationFailed,
            both("invalid_exact_evm_transaction_simulation_failed", "permit2_simulation_failed"),
        ),
        (
            R::NotYetValid { valid_after: at(NOW + 1), now: at(NOW) },
            both("invalid_exact_evm_payload_authorization_valid_after", "permit2_not_yet_valid"),
        ),
        (
            R::Expired { valid_before: at(NOW), now: at(NOW) },
            both("invalid_exact_evm_payload_authorization_valid_before", "permit2_deadline_expired"),
        ),
        (
            R::TransferFailed,
            [
                "invalid_exact_evm_transaction_failed",
                "invalid_exact_evm_transaction_failed",
                "invalid_upto_evm_transaction_failed",
            ],
        ),
        (R::Other("kyt_risk_detected".into()), ["kyt_risk_detected"; 3]),
    ]
}

#[tokio::test]
async fn a_refusal_to_verify_has_the_names_of_the_payment() {
    for local_proof in [false, true] {
        for (reason, codes) in reasons() {
            for (route, code) in ROUTES.into_iter().zip(codes) {
                let world = shop(local_proof);
                let request = Request::get(route);
                let paid = request.paid(&world.pay(&request).await);
                world.facilitator.on_verify(VerifyAnswer::Reject(reason.clone()));
                let answer = world.send(&paid).await;
                assert_eq!(
                    (answer.status, answer.reason().as_str()),
                    (402, code),
                    "{route} {reason:?} {local_proof}"
                );
                world.facilitator.on_verify(VerifyAnswer::Honest);
                assert_eq!(world.send(&paid).await.status, 200, "the same payment may come again");
            }
        }
    }
}

#[tokio::test]
async fn so_has_a_settlement_that_failed_in_its_receipt_and_whenever_it_is_told_again() {
    for (reason, codes) in reasons() {
        for (route, code) in ROUTES.into_iter().zip(codes) {
            let world = shop(true);
            let request = Request::get(route);
            let paid = request.paid(&world.pay(&request).await);
            world.facilitator.next_settle(SettleAnswer::Reject(reason.clone()));
            for time in ["first", "again"] {
                let answer = world.send(&paid).await;
                let receipt = answer.json("payment-response");
                assert_eq!((answer.status, &receipt["errorReason"]), (402, &code.into()), "{route} {time}");
                assert_eq!(answer.reason(), code, "{route} {time}");
                assert_eq!(answer.has("payment-required"), reason.is_dead(), "{route} {reason:?}");
            }
            assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 0), "{route}");
        }
    }
}

#[tokio::test]
async fn so_has_what_needs_nobody_else_to_be_refused() {
    let codes = [
        ("amount", ["invalid_exact_evm_payload_authorization_value_mismatch", "permit2_amount_mismatch"]),
        ("recipient", ["invalid_exact_evm_recipient_mismatch", "invalid_permit2_recipient_mismatch"]),
        ("signature", ["invalid_exact_evm_signature", "invalid_permit2_signature"]),
        ("time", ["invalid_exact_evm_payload_authorization_valid_before", "permit2_deadline_expired"]),
        ("terms", ["No matching payment requirements"; 2]),
    ];
    for (wrong, [eip3009, permit2]) in codes {
        for (route, code) in ROUTES.into_iter().zip([eip3009, permit2, permit2]) {
            let world = shop(true);
            let request = Request::get(route);
            let mut payment = read(&world.pay(&request).await);
            let by_permit2 = route != "/eip3009";
            let part = |payment: &mut Value, eip3009: &str, permit2: &str, value: &str| {
                let pointer = if by_permit2 { permit2 } else { eip3009 };
                *payment.pointer_mut(pointer).expect(pointer) = value.into();
            };
            match wrong {
                "amount" => part(
                    &mut payment,
                    "/payload/authorization/value",
                    "/payload/permit2Authorization/permitted/amount",
                    "1",
                ),
                "recipient" => part(
                    &mut payment,
                    "/payload/authorization/to",
                    "/payload/permit2Authorization/witness/to",
                    "0x1111111111111111111111111111111111111111",
                ),
                "signature" => part(
                    &mut payment,
                    "/payload/authorization/nonce",
                    "/payload/permit2Authorization/nonce",
                    if by_permit2 { "7" } else { NONCE },
                ),
                "time" => world.clock.advance(Duration::from_secs(8)),
                _ => {
                    payment["accepted"]["amount"] = "1".into();
                    payment["accepted"]["extra"].as_object_mut().unwrap().remove("quote");
                }
            }
            let answer = world.send(&request.paid(&write(&payment))).await;
            assert_eq!((answer.status, answer.reason().as_str()), (402, code), "{route} {wrong}");
            assert!(answer.has("payment-required"));
            assert_eq!(world.facilitator.verify_calls(), 0);
        }
    }
}

/// One that lapses first is good when it is verified, and worth nothing when a stream is over.
#[tokio::test]
async fn a_signed_approval_lasts_as_long_as_what_it_is_signed_for() {
    let (expired, unreadable) = (Some("eip2612_deadline_expired"), Some("invalid_eip2612_extension_format"));
    for route in ["/permit2", "/upto"] {
        let world = shop(true);
        let request = Request::get(route);
        let payment = read(&world.pay(&request).await);
        let end = payment["payload"]["permit2Authorization"]["deadline"].as_str().unwrap();
        let end: u64 = end.parse().unwrap();
        let send = async |deadline: Value| {
            let mut payment = payment.clone();
            payment["extensions"] = json!({ "eip2612GasSponsoring": { "info": { "deadline": deadline } } });
            world.send(&request.paid(&write(&payment))).await
        };
        for (deadline, code) in [
            (json!((end - 1).to_string()), expired),
            (json!("0"), expired),
            (json!(end), unreadable),
            (json!("soon"), unreadable),
            (json!(""), None),
            (Value::Null, None),
            (json!(end.to_string()), None),
            // What was settled is not looked at again.
            (json!("0"), None),
        ] {
            let (calls, answer) = (world.facilitator.verify_calls(), send(deadline.clone()).await);
            match code {
                Some(code) => {
                    assert_eq!((answer.status, answer.reason().as_str()), (402, code), "{route} {deadline}");
                    assert_eq!(world.facilitator.verify_calls(), calls);
                }
                None => assert_eq!(answer.status, 200, "{route} {deadline}"),
            }
        }
        assert_eq!((world.handler_runs(), world.facilitator.transfers().len()), (1, 1), "{route}");
    }
}

#[tokio::test]
async fn version_1_keeps_its_own_names() {
    let world = shop(true);
    let request = Request::get("/eip3009");
    let unpaid = world.send(&request).await;
    let paid = request.paid_v1(&world.payer.pay_v1(&unpaid.body));
    world.facilitator.next_settle(SettleAnswer::Reject(RejectReason::InsufficientFunds));
    let answer = world.send(&paid).await;
    assert_eq!(answer.json("x-payment-response")["errorReason"], "insufficient_funds");
    assert_eq!((answer.status, answer.reason().as_str()), (402, "insufficient_funds"));
}

fn read(header: &Bytes) -> Value {
    serde_json::from_slice(&STANDARD.decode(header).unwrap()).unwrap()
}

fn write(payment: &Value) -> Bytes {
    STANDARD.encode(payment.to_string()).into()
}

const NONCE: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";
