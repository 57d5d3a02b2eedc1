use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::order::{OwnerToken, Worker};

fn worker(lease: u64) -> Worker {
    Worker { owner: OwnerToken::new([1; 16]), lease: Duration::from_secs(lease) }
}

#[test]
fn shards_take_turns_with_a_worker_that_takes_little() {
    let store = MemoryStore::new();
    let payments = payments(&store);
    for number in 0..2_000 {
        assert!(is_new(&store.inner.open(&payments.request(number), payments.now)));
    }
    let due = payments.request(0).valid_before.after(Duration::from_secs(60));
    let shards: HashSet<_> = (0..40)
        .map(|_| {
            let taken = store.inner.due(&worker(600), 1, due).unwrap();
            taken[0].0.key.as_bytes()[31] % 64
        })
        .collect();
    assert_eq!(shards.len(), 40);
}

#[derive(Clone, Debug)]
enum Step {
    Open(u32),
    Advance(u32, u8),
    Renew(u32),
    Wait(u64),
    Due(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..12_u32).prop_map(Step::Open),
        6 => (0..12_u32, any::<u8>()).prop_map(|(number, event)| Step::Advance(number, event)),
        1 => (0..12_u32).prop_map(Step::Renew),
        4 => (0..70_u64).prop_map(Step::Wait),
        3 => (0..8_usize).prop_map(Step::Due),
    ]
}

proptest! {
    /// Shards that say they are quiet are: a worker gets what a look at every order would find.
    #[test]
    fn a_worker_gets_what_a_look_at_all_orders_would_find(steps in prop::collection::vec(step(), 0..80)) {
        let store = MemoryStore::new();
        let payments = payments(&store);
        let requests: Vec<_> = (0..12).map(|number| payments.request(number)).collect();
        let mut leases = HashMap::new();
        let mut now = payments.now;
        for step in steps {
            match step {
                Step::Open(number) => {
                    let keep_until = now.after(Duration::from_secs(400));
                    let request = OpenRequest { keep_until, ..requests[number as usize].clone() };
                    if let Opened::New(lease, _) | Opened::Resumed(lease, _) =
                        store.inner.open(&request, now).unwrap()
                    {
                        leases.insert(number, lease);
                    }
                }
                Step::Advance(number, event) => {
                    let Some(lease) = leases.get(&number) else { continue };
                    let event = match event % 10 {
                        0 => Event::SettleUnclear { transaction: None },
                        1 => payments.settled(&requests[number as usize]),
                        2 => Event::Released,
                        3 => Event::Undelivered,
                        4 => Event::Noticed,
                        5 => payments.deferred(&requests[number as usize], None),
                        6 => Event::SettleStarted { response: None },
                        7 | 8 => Event::HandlerStarted,
                        _ => Event::VerifyOk,
                    };
                    let _ = store.inner.advance(lease, &event, now);
                }
                Step::Renew(number) => {
                    let Some(lease) = leases.get(&number) else { continue };
                    let _ = store.inner.renew(lease, Duration::from_secs(30), now);
                }
                Step::Wait(seconds) => now = now.after(Duration::from_secs(seconds)),
                Step::Due(limit) => {
                    let find = |request: &OpenRequest| store.inner.shard(&request.key).unwrap().find(&request.key, now);
                    let due = requests.iter().filter_map(find).filter(|order| order.due().is_some_and(|at| at <= now));
                    let due: HashSet<_> = due.map(|order| order.key).collect();
                    let taken = store.inner.due(&worker(20), limit, now).unwrap();
                    prop_assert_eq!(taken.len(), limit.min(due.len()));
                    prop_assert!(taken.iter().all(|(lease, _)| due.contains(&lease.key)));
                }
            }
        }
    }
}
