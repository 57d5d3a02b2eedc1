use proptest::prelude::*;

use super::{DeliveryState as D, PaymentState as P, *};
use crate::price::{AtomicAmount, NetworkId};

const PAYMENTS: [P; 8] =
    [P::Verifying, P::Verified, P::Settling, P::Unresolved, P::Settled, P::Rejected, P::Failed, P::Expired];
const DELIVERIES: [D; 5] = [D::Withheld, D::Executing, D::Ready, D::Delivered, D::Errored];

fn events() -> [(&'static str, Event); 17] {
    let response = Arc::new(StoredResponse::new(200, Vec::new(), "sunny".into()));
    let network = NetworkId::new("eip155:84532").unwrap();
    let settlement = Settlement::new("0x1".into(), network, "0x2".into(), AtomicAmount::from(1_u64));
    [
        ("verify ok", Event::VerifyOk),
        ("verify rejected", Event::VerifyRejected { reason: "insufficient_funds".into() }),
        ("handler started", Event::HandlerStarted),
        ("handler failed", Event::HandlerFailed),
        ("given up", Event::GivenUp),
        ("charged", Event::Charged { amount: AtomicAmount::from(1_u64) }),
        ("settle started", Event::SettleStarted { response: None }),
        ("settle started, kept", Event::SettleStarted { response: Some(Arc::clone(&response)) }),
        ("settle ok", Event::SettleOk { settlement: Arc::new(settlement) }),
        ("settle failed", Event::SettleFailed { reason: "reverted".into(), dead: false, transaction: None }),
        ("settle unclear", Event::SettleUnclear { transaction: None }),
        ("response ready", Event::ResponseReady { response }),
        ("delivered", Event::Delivered),
        ("undelivered", Event::Undelivered),
        ("broken off", Event::BrokenOff),
        ("expired", Event::Expired),
        ("released", Event::Released),
    ]
}

/// Where an edge leaves the delivery.
#[derive(Clone, Copy)]
enum To {
    Same,
    This(D),
    /// A run that was not kept is lost.
    Lost,
    /// A run that was not kept is charged, and over.
    Over,
}

/// Event, payment, deliveries it is possible from, payment after, delivery after. There are no other edges.
#[rustfmt::skip]
const EDGES: &[(&str, P, &[D], P, To)] = &[
    ("verify ok", P::Verifying, &DELIVERIES, P::Verified, To::Same),
    ("verify ok", P::Verified, &DELIVERIES, P::Verified, To::Same),
    ("verify rejected", P::Verifying, &DELIVERIES, P::Rejected, To::Same),
    ("verify rejected", P::Verified, &DELIVERIES, P::Rejected, To::Same),
    ("handler started", P::Verified, &[D::Withheld, D::Ready, D::Errored], P::Verified, To::This(D::Executing)),
    ("handler started", P::Settled, &[D::Withheld, D::Ready, D::Errored], P::Settled, To::This(D::Executing)),
    ("handler failed", P::Verified, &[D::Executing], P::Verified, To::This(D::Errored)),
    ("handler failed", P::Settled, &[D::Executing], P::Settled, To::This(D::Errored)),
    ("given up", P::Verifying, &DELIVERIES, P::Verifying, To::Lost),
    ("given up", P::Verified, &DELIVERIES, P::Verified, To::Lost),
    ("charged", P::Verified, &[D::Executing], P::Verified, To::Same),
    ("settle started", P::Verified, &DELIVERIES, P::Settling, To::Same),
    ("settle started", P::Unresolved, &DELIVERIES, P::Unresolved, To::Same),
    ("settle started, kept", P::Verified, &DELIVERIES, P::Settling, To::This(D::Ready)),
    ("settle ok", P::Settling, &DELIVERIES, P::Settled, To::Same),
    ("settle ok", P::Unresolved, &DELIVERIES, P::Settled, To::Same),
    ("settle failed", P::Settling, &DELIVERIES, P::Failed, To::Same),
    ("settle failed", P::Unresolved, &DELIVERIES, P::Failed, To::Same),
    ("settle unclear", P::Settling, &DELIVERIES, P::Unresolved, To::Same),
    ("settle unclear", P::Unresolved, &DELIVERIES, P::Unresolved, To::Same),
    ("response ready", P::Settled, &[D::Executing], P::Settled, To::This(D::Ready)),
    ("delivered", P::Settled, &[D::Executing, D::Ready, D::Delivered], P::Settled, To::This(D::Delivered)),
    ("undelivered", P::Settled, &DELIVERIES, P::Settled, To::Lost),
    ("broken off", P::Settled, &DELIVERIES, P::Settled, To::Over),
    ("expired", P::Verifying, &DELIVERIES, P::Expired, To::Same),
    ("expired", P::Verified, &DELIVERIES, P::Expired, To::Same),
];

fn expected(name: &str, from: OrderState) -> Option<OrderState> {
    if name == "released" {
        return Some(from);
    }
    let edge = EDGES.iter().find(|(event, payment, deliveries, ..)| {
        *event == name && *payment == from.payment && deliveries.contains(&from.delivery)
    });
    let &(.., payment, to) = edge?;
    let delivery = match to {
        To::Same => from.delivery,
        To::This(delivery) => delivery,
        To::Lost if from.delivery == D::Executing => D::Errored,
        To::Over if from.delivery == D::Executing => D::Delivered,
        To::Lost | To::Over => from.delivery,
    };
    let attempts = match name {
        "handler started" => from.attempts + 1,
        "handler failed" if from.payment == P::Settled => from.attempts - 1,
        _ => from.attempts,
    };
    Some(OrderState { payment, delivery, attempts, ..from })
}

#[test]
fn every_state_takes_the_events_of_the_table_and_no_others() {
    for (payment, delivery) in PAYMENTS.into_iter().flat_map(|p| DELIVERIES.map(|d| (p, d))) {
        let from = OrderState { payment, delivery, attempts: 1, ..OrderState::default() };
        for (name, event) in events() {
            let wanted = expected(name, from).ok_or(IllegalEdge { from });
            assert_eq!(from.next(&event), wanted, "{name} in {payment:?}/{delivery:?}");
        }
    }
}

#[test]
fn the_last_run_that_fails_unpaid_ends_the_order() {
    let running = OrderState {
        payment: P::Verified,
        delivery: D::Executing,
        attempts: MAX_ATTEMPTS,
        ..OrderState::default()
    };
    for event in [Event::HandlerFailed, Event::GivenUp] {
        let after = running.next(&event).unwrap();
        assert_eq!((after.payment, after.delivery), (P::Failed, D::Errored), "{event:?}");
    }
    let left = running.abandoned();
    assert_eq!((left.payment, left.delivery), (P::Failed, D::Errored));
    let rested = OrderState { delivery: D::Errored, ..running };
    assert!(rested.next(&Event::HandlerStarted).is_err());
}

#[test]
fn a_paid_handler_may_run_until_it_succeeds() {
    let mut state = OrderState {
        payment: P::Settled,
        delivery: D::Errored,
        attempts: MAX_ATTEMPTS,
        ..OrderState::default()
    };
    for _ in 0..300 {
        state = state.next(&Event::HandlerStarted).unwrap().next(&Event::HandlerFailed).unwrap();
    }
    assert_eq!((state.payment, state.attempts), (P::Settled, MAX_ATTEMPTS));
}

#[test]
fn a_paid_response_is_lost_so_often_and_no_more() {
    let mut state = OrderState { payment: P::Settled, ..OrderState::default() };
    for _ in 0..MAX_PAID_RUNS {
        state = state.next(&Event::HandlerStarted).unwrap().next(&Event::Undelivered).unwrap();
    }
    assert_eq!((state.payment, state.attempts), (P::Settled, MAX_PAID_RUNS));
    assert!(state.next(&Event::HandlerStarted).is_err());
}

#[test]
fn an_order_whose_holder_vanished_keeps_what_was_kept() {
    for (payment, delivery, left) in [
        (P::Verifying, D::Withheld, (P::Verifying, D::Withheld)),
        (P::Verified, D::Executing, (P::Verified, D::Errored)),
        (P::Settling, D::Executing, (P::Unresolved, D::Errored)),
        (P::Settling, D::Ready, (P::Unresolved, D::Ready)),
        (P::Unresolved, D::Ready, (P::Unresolved, D::Ready)),
        (P::Settled, D::Executing, (P::Settled, D::Errored)),
        (P::Settled, D::Ready, (P::Settled, D::Ready)),
        (P::Settled, D::Delivered, (P::Settled, D::Delivered)),
    ] {
        let after = OrderState { payment, delivery, attempts: 1, ..OrderState::default() }.abandoned();
        assert_eq!((after.payment, after.delivery), left, "{payment:?}/{delivery:?}");
    }
}

fn metered() -> OrderState {
    let running =
        OrderState { payment: P::Verified, delivery: D::Executing, attempts: 1, ..OrderState::default() };
    running.next(&metering()).unwrap()
}

fn metering() -> Event {
    let resource = crate::wire::v2::ResourceInfo::default();
    Event::Metered { payment: Arc::new(KeptPayment::new("{}".into(), resource)) }
}

const CHARGED: Event = Event::Charged { amount: AtomicAmount::ZERO };

#[test]
fn a_metered_response_is_settled_only_when_its_charge_is_final_and_is_never_owed() {
    let open = metered();
    assert_eq!(
        (open.payment, open.delivery, open.deferred, open.metered),
        (P::Settling, D::Executing, true, true)
    );
    for (name, event) in events() {
        let possible = matches!(
            event,
            Event::Charged { .. }
                | Event::Delivered
                | Event::Undelivered
                | Event::BrokenOff
                | Event::Released
        );
        assert_eq!(open.next(&event).is_ok(), possible, "{name}");
    }
    assert!(open.next(&metering()).is_err());
    for ends in [vec![], vec![Event::Delivered], vec![Event::BrokenOff], vec![Event::Undelivered]] {
        let over = ends.iter().fold(open, |state, event| state.next(event).unwrap());
        let charged = over.next(&CHARGED).unwrap();
        assert_eq!((charged.delivery, charged.metered), (D::Delivered, false), "{ends:?}");
        assert!(charged.next(&CHARGED).is_err(), "a charge is recorded once");
        let left = charged.abandoned();
        assert_eq!((left.payment, left.delivery), (P::Unresolved, D::Delivered));
        assert!(left.next(&CHARGED).is_err());
    }
    let left = open.abandoned();
    assert_eq!((left.payment, left.delivery, left.metered), (P::Unresolved, D::Delivered, false));
    assert!(left.next(&CHARGED).is_err(), "whoever comes later changes no charge");
    for payment in PAYMENTS.into_iter().filter(|payment| *payment != P::Verified) {
        let state = OrderState { payment, delivery: D::Executing, ..OrderState::default() };
        assert!(state.next(&metering()).is_err() && state.next(&CHARGED).is_err(), "{payment:?}");
    }
}

proptest! {
    /// Whatever is reported, in whatever order, and however often the holder vanishes.
    #[test]
    fn no_sequence_of_events_moves_money_twice(steps in prop::collection::vec(0..18_usize, 0..64)) {
        let events = events();
        let (mut state, mut first_settlements, mut unpaid_runs) = (OrderState::default(), 0, 0);
        for step in steps {
            let before = state;
            // The step after the last event: the holder vanishes.
            let event = events.get(step).map(|(_, event)| event);
            state = match event {
                None => state.abandoned(),
                Some(event) => match state.next(event) {
                    Ok(after) => after,
                    Err(error) => {
                        prop_assert_eq!(error.from, state);
                        continue;
                    }
                },
            };
            if matches!(before.payment, P::Settled | P::Failed | P::Expired | P::Rejected) {
                prop_assert_eq!(state.payment, before.payment, "a final payment changed");
            }
            if matches!(event, Some(Event::SettleStarted { .. })) {
                first_settlements += u32::from(before.payment == P::Verified);
            }
            if matches!(event, Some(Event::HandlerStarted)) {
                prop_assert!(matches!(before.payment, P::Verified | P::Settled));
                unpaid_runs += u8::from(before.payment == P::Verified);
            }
            if state.delivery == D::Delivered {
                prop_assert_eq!(state.payment, P::Settled, "delivered without payment");
            }
            if before.delivery == D::Delivered {
                prop_assert_eq!(state.delivery, D::Delivered, "a delivery was taken back");
            }
            if state.payment == P::Settled && before.payment != P::Settled {
                prop_assert!(first_settlements == 1, "settled without having begun");
            }
            prop_assert!(first_settlements <= 1);
            prop_assert!(unpaid_runs <= MAX_ATTEMPTS);
            let failed_paid = before.payment == P::Settled && matches!(event, Some(Event::HandlerFailed));
            prop_assert_eq!(state.attempts < before.attempts, failed_paid, "a run was not counted");
            prop_assert!(state.attempts <= MAX_PAID_RUNS);
        }
    }
}
