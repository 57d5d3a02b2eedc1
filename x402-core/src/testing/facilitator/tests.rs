use std::time::Duration;

use super::*;
use crate::{
    price::{AtomicAmount, NetworkId, PriceOption},
    testing::{FakeClock, TestPayer},
};

fn payment() -> Payment {
    let network = NetworkId::new("eip155:84532").unwrap();
    let amount = AtomicAmount::from(1_000_u64);
    let option = PriceOption::new(network, format!("0x{:040x}", 1), amount, format!("0x{:040x}", 2));
    TestPayer::new("alice").clock(FakeClock::default()).payment(&option)
}

#[tokio::test]
async fn money_moves_once_for_one_payment() {
    let (facilitator, payment) = (FakeFacilitator::new(), payment());
    assert!(facilitator.verify(&payment).await.is_ok());
    let first = facilitator.settle(&payment).await.unwrap();
    assert_eq!(facilitator.settle(&payment).await.unwrap(), first);
    assert_eq!(facilitator.transfers(), [first]);
    let spent = facilitator.verify(&payment).await;
    assert!(matches!(spent, Err(VerifyError::Rejected(RejectReason::NonceAlreadyUsed))));
    assert_eq!((facilitator.verify_calls(), facilitator.settle_calls()), (2, 2));
}

#[tokio::test]
async fn lost_answers_are_told_by_the_witness_only() {
    for moved in [true, false] {
        let (facilitator, payment) = (FakeFacilitator::new().with_witness(), payment());
        facilitator.next_settle(SettleAnswer::Unresolved { moved });
        assert!(matches!(facilitator.settle(&payment).await, Err(SettleError::Unresolved { .. })));
        let evidence = facilitator.witness().unwrap().evidence(&Transfer::from(&payment)).await.unwrap();
        assert_eq!(matches!(evidence, Evidence::Settled(_)), moved);
        assert!(facilitator.settle(&payment).await.is_ok(), "it is honest again");
        assert_eq!(facilitator.transfers().len(), 1);
    }
}

#[tokio::test]
async fn what_was_signed_wrong_ended_or_spent_is_refused() {
    let clock = FakeClock::default();
    let (facilitator, payment) = (FakeFacilitator::new().with_clock(clock.clone()), payment());
    let mut forged = payment.clone();
    forged.authorization.amount = AtomicAmount::from(1_u64);
    let crate::scheme::SignedMessage::Eip3009(message) = &mut forged.authorization.message else { panic!() };
    message.signature[0] ^= 1;
    assert!(matches!(facilitator.settle(&forged).await, Err(SettleError::Rejected { .. })));
    assert!(FakeFacilitator::new().with_any_signature().settle(&forged).await.is_ok());
    clock.advance(Duration::from_secs(3_600));
    let late = facilitator.verify(&payment).await;
    assert!(matches!(late, Err(VerifyError::Rejected(RejectReason::Expired { .. }))));
    clock.set(FakeClock::default().now());
    facilitator.spend_elsewhere(payment.authorization.key);
    assert!(matches!(facilitator.evidence(&Transfer::from(&payment)).await, Ok(Evidence::Dead(_))));
    assert!(facilitator.settle(&payment).await.is_err());
    assert_eq!(facilitator.transfers(), []);
}

#[tokio::test]
async fn a_call_that_hangs_goes_on_when_released() {
    let (facilitator, payment) = (FakeFacilitator::new(), payment());
    facilitator.next_settle(SettleAnswer::Hang);
    let hanging = tokio::spawn({
        let (facilitator, payment) = (facilitator.clone(), payment.clone());
        async move { facilitator.settle(&payment).await }
    });
    facilitator.hanging(1).await;
    assert_eq!(facilitator.transfers(), []);
    facilitator.release();
    assert!(hanging.await.unwrap().is_ok());
    assert_eq!(facilitator.transfers().len(), 1);
}
