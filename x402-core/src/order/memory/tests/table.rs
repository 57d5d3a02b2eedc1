use std::collections::HashMap;

use proptest::prelude::*;

use super::{
    super::{record::Record, table::Table},
    *,
};
use crate::order::OwnerToken;

const KEYS: u8 = 80;

#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    Remove(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![(0..KEYS).prop_map(Step::Insert), (0..KEYS).prop_map(Step::Remove)]
}

proptest! {
    /// The table holds what a map would. Few keys, and half of them with one home, make it move records about.
    #[test]
    fn a_table_is_a_map(steps in prop::collection::vec(step(), 0..300), seed: u64) {
        let payments = payments(&MemoryStore::new());
        let template = Order::opened(&payments.request(0), 1, payments.now);
        let key = |number: u8| {
            let mut bytes = [0; 32];
            bytes[0] = number & 1;
            bytes[16] = number;
            PaymentKey::from_bytes(bytes)
        };
        let owner = OwnerToken::new([0; 16]);
        let record = |number, fence| Record::new(Order { key: key(number), fence, ..template.clone() }, owner);
        let (mut table, mut map) = (Table::new(seed), HashMap::new());
        let last = steps.len() as u64;
        for (fence, step) in (1_u64..).zip(steps) {
            let (Step::Insert(number) | Step::Remove(number)) = step;
            match step {
                Step::Insert(_) if !map.contains_key(&number) => {
                    table.insert(record(number, fence));
                    map.insert(number, fence);
                }
                Step::Remove(_) if map.contains_key(&number) => {
                    let removed = table.remove(table.position(&key(number)).unwrap());
                    prop_assert_eq!(Some(removed.fence()), map.remove(&number));
                }
                Step::Insert(_) | Step::Remove(_) => {}
            }
            prop_assert_eq!((table.len(), table.records().count()), (map.len(), map.len()));
            let numbers = if last == fence { 0..KEYS } else { number..number + 1 };
            for number in numbers {
                let fence = table.position(&key(number)).and_then(|at| table.get(at)).map(Record::fence);
                prop_assert_eq!(fence, map.get(&number).copied());
            }
        }
    }
}
