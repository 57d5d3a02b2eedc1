use std::time::Duration;

use x402_core::{
    order::{MemoryStore, OpenRequest, Order, OwnerToken, PaymentId},
    testing::store_contract::Payments,
};

use super::*;
use crate::{
    postgres::record::Keeping,
    rows::{Change, Row},
};

/// What lanes get of steps that wait, by payment. A step is a payer, a payment, a name, and whether it displaces.
async fn portions(kind: Kind, steps: &[(u32, u32, Option<&str>, bool)]) -> Vec<Vec<usize>> {
    let payments = Payments::new(Arc::new(MemoryStore::new()));
    let (sender, waiting) = mpsc::channel(WAITING);
    let mut queue = Queue { kind, waiting, aside: VecDeque::new() };
    let mut answers = Vec::new();
    for (number, (payer, payment, name, displaces)) in steps.iter().enumerate() {
        let request = OpenRequest {
            payer: payments.request(*payer).payer,
            payment_id: name.map(|name| PaymentId::new(&name.repeat(16)).unwrap()),
            ..payments.request(*payment)
        };
        let row = Row {
            order: Order::opened(&request, 1, payments.now),
            owner: OwnerToken::new([0; 16]),
            version: number as u64,
        };
        let change = Change { row, transition: None, response: None, payment: None };
        let record = Record::of(&change, Keeping { lifetime: Duration::ZERO, limit: 0 });
        let displaced = Displaced { version: displaces.then_some(1), ..Displaced::default() };
        let (answer, answered) = oneshot::channel();
        answers.push(answered);
        sender.try_send(Step { record, displaced, answer }).map_err(drop).unwrap();
    }
    drop(sender);
    let mut portions = Vec::new();
    while let Some(steps) = queue.next().await {
        portions.push(steps.iter().map(|step| usize::try_from(step.record.version).unwrap()).collect());
    }
    portions
}

#[tokio::test]
async fn steps_go_together_unless_they_could_wait_for_each_other() {
    let plain = |payment| (payment, payment, None, false);
    let named = |payer, payment| (payer, payment, Some("a"), false);
    for (steps, wanted) in [
        (vec![plain(0), plain(1), plain(2)], vec![vec![0, 1, 2]]),
        (vec![plain(0), plain(0), plain(1), plain(0)], vec![vec![0, 2], vec![1], vec![3]]),
        (vec![(0, 0, None, false), (0, 1, None, false)], vec![vec![0, 1]]),
        (vec![named(0, 0), named(1, 1)], vec![vec![0, 1]]),
        (vec![named(0, 0), named(0, 1), plain(2)], vec![vec![0, 2], vec![1]]),
        (vec![(0, 0, None, false), named(0, 1)], vec![vec![0], vec![1]]),
        (vec![plain(0), (1, 1, None, true), plain(2)], vec![vec![0, 2], vec![1]]),
        (vec![(1, 1, None, true), plain(0), plain(2)], vec![vec![0], vec![1, 2]]),
    ] {
        assert_eq!(portions(Kind::Open, &steps).await, wanted, "{steps:?}");
    }
    // Changes leave names alone.
    assert_eq!(portions(Kind::Change, &[named(0, 0), named(0, 1)]).await, [[0, 1]]);
    let many: Vec<_> = (0..300).map(plain).collect();
    let sizes: Vec<_> = portions(Kind::Open, &many).await.iter().map(Vec::len).collect();
    assert_eq!(sizes, [TOGETHER, TOGETHER, 300 - 2 * TOGETHER]);
}

#[tokio::test]
async fn a_step_nobody_waits_for_is_not_taken() {
    let (sender, waiting) = mpsc::channel(1);
    let writer = Writer { steps: sender };
    let mut queue = Queue { kind: Kind::Change, waiting, aside: VecDeque::new() };
    let payments = Payments::new(Arc::new(MemoryStore::new()));
    let row = Row {
        order: Order::opened(&payments.request(0), 1, payments.now),
        owner: OwnerToken::new([0; 16]),
        version: 1,
    };
    let change = Change { row, transition: None, response: None, payment: None };
    let record = Record::of(&change, Keeping { lifetime: Duration::ZERO, limit: 0 });
    let write = writer.write(record, Displaced::default());
    tokio::time::timeout(Duration::from_millis(1), write).await.unwrap_err();
    assert!(queue.pop().is_none());
}
