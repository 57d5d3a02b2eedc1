use std::time::Duration;

use super::*;
use crate::testing::store_contract::Payments;

fn payments() -> Payments {
    Payments::new(Arc::new(crate::order::MemoryStore::new()))
}

fn again(order: &Order) -> Order {
    Record::new(order.clone(), OwnerToken::new([7; 16])).order()
}

fn assert_same(order: &Order) {
    assert_eq!(format!("{:?}", again(order)), format!("{order:?}"));
}

#[test]
fn a_record_has_184_bytes() {
    assert_eq!(size_of::<Record>(), 184);
}

#[test]
fn an_order_is_what_it_was_before_it_was_packed() {
    let payments = payments();
    let order = Order::opened(&payments.request(0), 3, payments.now);
    assert_same(&order);
    let state = OrderState {
        payment: PaymentState::Unresolved,
        delivery: DeliveryState::Ready,
        attempts: 255,
        deferred: true,
        metered: true,
    };
    assert_same(&Order { state, ..order.clone() });
    for bit in 0..5 {
        let is = |other| bit == other;
        let state = OrderState { deferred: is(0), metered: is(4), ..order.state };
        let flagged = Order { dead: is(1), response_kept: is(2), noticed: is(3), state, ..order.clone() };
        assert_same(&flagged);
    }
    for leased_until in [None, Some(payments.lapsed())] {
        assert_same(&Order { leased_until, ..order.clone() });
    }
    let long = Duration::from_secs(1_000_000_000);
    for (created_at, updated_at, keep_until, valid_before) in [
        (payments.now, payments.lapsed(), payments.now.after(long), payments.now.before(long)),
        (UnixSeconds::new(0), UnixSeconds::new(1), UnixSeconds::MAX, UnixSeconds::new(1 << 40)),
    ] {
        assert_same(&Order { created_at, updated_at, keep_until, valid_before, ..order.clone() });
    }
}

#[test]
fn what_few_orders_have_is_packed_too() {
    let payments = payments();
    let request = payments.request(0);
    let order = Order::opened(&request, 1, payments.now);
    let crate::order::Event::SettleOk { settlement } = payments.settled(&request) else {
        panic!("a settlement")
    };
    let solana = || "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU".into();
    let shouted = || "0X1111111111111111111111111111111111111111".into();
    let named = PaymentId::new("order-of-breakfast").ok();
    for order in [
        Order { payer: solana(), ..order.clone() },
        Order { payer: shouted(), ..order.clone() },
        Order { payer: order.payer.to_lowercase().into(), ..order.clone() },
        Order { payment_id: named.clone(), ..order.clone() },
        Order { settlement: Some(settlement), payment_id: named, payer: solana(), ..order.clone() },
        Order { charge: Some(crate::price::AtomicAmount::default()), ..order.clone() },
        Order { transaction: Some("0xabc".into()), reason: Some("late".into()), ..order.clone() },
    ] {
        assert_same(&order);
    }
}

#[test]
fn times_after_2105_read_as_the_end_of_time() {
    let payments = payments();
    let order = Order::opened(&payments.request(0), 1, payments.now);
    let far = UnixSeconds::new(1 << 33);
    let keep = Order { keep_until: far, leased_until: None, ..order.clone() };
    assert_eq!(again(&keep).keep_until, UnixSeconds::MAX);
    assert!(!Record::new(keep, OwnerToken::new([0; 16])).is_over(far), "it is remembered");
    let valid = Order { valid_before: far, ..order };
    assert_eq!(again(&valid).valid_before, far, "this one is the payer's to choose, and goes on record");
}

#[test]
fn a_lease_until_the_epoch_lapsed_and_was_not_released() {
    let payments = payments();
    let order = Order::opened(&payments.request(0), 1, payments.now);
    let lapsed = again(&Order { leased_until: Some(UnixSeconds::new(0)), ..order });
    assert_eq!(lapsed.leased_until, Some(UnixSeconds::new(1)));
}
