//! Records by key: a dense vector, and an index of positions over it that is probed linearly.
//!
//! A general map would keep half of its large slots empty. Here only the index has empty slots, of four bytes each, and
//! both give memory back when records go.

use super::record::Record;
use crate::scheme::PaymentKey;

pub(super) struct Table {
    records: Vec<Record>,
    /// Positions in `records`, or [`EMPTY`]. Its length is a power of two, at most three quarters are in use.
    slots: Vec<u32>,
    /// Differs between processes, so that nobody can choose payments that meet in one slot.
    seed: u64,
}

impl Table {
    pub(super) const fn new(seed: u64) -> Self {
        Self { records: Vec::new(), slots: Vec::new(), seed }
    }

    pub(super) fn position(&self, key: &PaymentKey) -> Option<u32> {
        self.slot_of(key).map(|slot| self.slots[slot])
    }

    pub(super) fn get(&self, position: u32) -> Option<&Record> {
        self.records.get(position as usize)
    }

    pub(super) fn get_mut(&mut self, position: u32) -> Option<&mut Record> {
        self.records.get_mut(position as usize)
    }

    /// Adds a record whose key is not there yet.
    pub(super) fn insert(&mut self, record: Record) -> u32 {
        if (self.records.len() + 1) * 4 > self.slots.len() * 3 {
            self.rebuild((self.slots.len() * 2).max(SMALLEST));
        }
        let slot = self.probe(record.key()).find(|slot| self.slots[*slot] == EMPTY);
        let position = u32::try_from(self.records.len()).expect("a shard has less than 2^32 records");
        self.slots[slot.expect("a quarter of the slots is empty")] = position;
        if self.records.len() == self.records.capacity() {
            self.records.reserve_exact((self.records.len() / GROWTH).max(SMALLEST));
        }
        self.records.push(record);
        position
    }

    /// Removes a record. The last one takes its position; the return value says whether there was another one to do so.
    pub(super) fn remove(&mut self, position: u32) -> (Record, bool) {
        let removed = self.records[position as usize].key();
        let slot = self.slot_of(removed).expect("every record has a slot");
        self.clear(slot);
        let last = self.records.last().expect("the removed record is still there").key();
        let moved = last != self.records[position as usize].key();
        if moved {
            let slot = self.slot_of(last).expect("every record has a slot");
            self.slots[slot] = position;
        }
        let record = self.records.swap_remove(position as usize);
        self.shrink();
        (record, moved)
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.records.capacity().max(self.slots.len())
    }

    fn slot_of(&self, key: &PaymentKey) -> Option<usize> {
        self.probe(key)
            .take_while(|slot| self.slots[*slot] != EMPTY)
            .find(|slot| self.records[self.slots[*slot] as usize].key() == key)
    }

    /// Every slot once, from the one where the key belongs.
    fn probe(&self, key: &PaymentKey) -> impl Iterator<Item = usize> + use<> {
        let (home, length) = (self.home(key), self.slots.len());
        (0..length).map(move |step| (home + step) & (length - 1))
    }

    fn home(&self, key: &PaymentKey) -> usize {
        let [a, b, ..] = words(key);
        let product = u128::from(a ^ self.seed) * u128::from(b ^ self.seed.rotate_left(32));
        // Both halves of the product depend on all bits.
        let hash = (product as u64) ^ ((product >> 64) as u64);
        hash as usize & self.slots.len().wrapping_sub(1)
    }

    /// Empties a slot and moves those behind it up, so that no probe stops too early.
    fn clear(&mut self, slot: usize) {
        let mask = self.slots.len() - 1;
        let mut hole = slot;
        let mut next = slot;
        loop {
            next = (next + 1) & mask;
            let position = self.slots[next];
            if position == EMPTY {
                break;
            }
            let home = self.home(self.records[position as usize].key());
            // It may move up only if the hole does not lie before its home.
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.slots[hole] = position;
                hole = next;
            }
        }
        self.slots[hole] = EMPTY;
    }

    fn shrink(&mut self) {
        if self.records.capacity() > SMALLEST && self.records.len() < self.records.capacity() / 4 {
            self.records.shrink_to(self.records.len() * 2);
            let mut slots = self.slots.len();
            while slots > SMALLEST && self.records.len() * 4 < slots {
                slots /= 2;
            }
            self.rebuild(slots);
        }
    }

    fn rebuild(&mut self, slots: usize) {
        self.slots = vec![EMPTY; slots];
        for position in 0..self.records.len() {
            let mut probe = self.probe(self.records[position].key());
            let slot =
                probe.find(|slot| self.slots[*slot] == EMPTY).expect("a quarter of the slots is empty");
            self.slots[slot] = u32::try_from(position).expect("a shard has less than 2^32 records");
        }
    }
}

fn words(key: &PaymentKey) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(key.as_bytes().chunks_exact(8)) {
        *word = u64::from_le_bytes(bytes.try_into().expect("a chunk has eight bytes"));
    }
    words
}

const EMPTY: u32 = u32::MAX;
const SMALLEST: usize = 16;
/// The vector grows by a quarter: doubling would leave up to half of it unused.
const GROWTH: usize = 4;
