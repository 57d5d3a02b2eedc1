//! Records by key: dense blocks, and an index of positions over them that is probed linearly.
//!
//! A general map would keep half of its large slots empty. Here only the index has empty slots, of four bytes each; records
//! are never copied to make room for more, and all of it gives memory back when records go.

use std::mem;

use super::record::Record;
use crate::scheme::PaymentKey;

pub(super) struct Table {
    /// Each full but the last.
    blocks: Vec<Vec<Record>>,
    /// Positions of records, or [`EMPTY`]. Its length is a power of two, at most three quarters are in use.
    slots: Vec<u32>,
    /// Differs between processes, so that nobody can choose payments that meet in one slot.
    seed: u64,
}

impl Table {
    pub(super) const fn new(seed: u64) -> Self {
        Self { blocks: Vec::new(), slots: Vec::new(), seed }
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.last().map_or(0, |last| (self.blocks.len() - 1) * BLOCK + last.len())
    }

    pub(super) fn position(&self, key: &PaymentKey) -> Option<usize> {
        self.slot_of(key).map(|slot| self.slots[slot] as usize)
    }

    pub(super) fn get(&self, position: usize) -> Option<&Record> {
        self.blocks.get(position / BLOCK)?.get(position % BLOCK)
    }

    pub(super) fn get_mut(&mut self, position: usize) -> Option<&mut Record> {
        self.blocks.get_mut(position / BLOCK)?.get_mut(position % BLOCK)
    }

    /// All records, in order of their positions.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> + use<'_> {
        self.blocks.iter().flatten()
    }

    /// Adds a record whose key is not there yet, behind all others.
    pub(super) fn insert(&mut self, record: Record) {
        let position = self.len();
        if (position + 1) * 4 > self.slots.len() * 3 {
            self.rebuild((self.slots.len() * 2).max(SMALLEST));
        }
        let slot = self.probe(record.key()).find(|slot| self.slots[*slot] == EMPTY);
        self.slots[slot.expect("a quarter of the slots is empty")] = packed(position);
        if position.is_multiple_of(BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        self.blocks.last_mut().expect("there is a block with room").push(record);
    }

    /// Removes a record. The last one takes its position.
    pub(super) fn remove(&mut self, position: usize) -> Record {
        let slot = self.slot_of(self.at(position).key()).expect("every record has a slot");
        self.clear(slot);
        let last = self.len() - 1;
        if last != position {
            let slot = self.slot_of(self.at(last).key()).expect("every record has a slot");
            self.slots[slot] = packed(position);
        }
        let block = self.blocks.last_mut().expect("the removed record is still there");
        let moved = block.pop().expect("no block is empty");
        if block.is_empty() {
            self.blocks.pop();
            if self.blocks.len() < self.blocks.capacity() / 4 {
                self.blocks.shrink_to(self.blocks.len() * 2);
            }
        }
        let removed = match self.get_mut(position) {
            Some(record) => mem::replace(record, moved),
            None => moved,
        };
        if self.slots.len() > SMALLEST && last * 4 < self.slots.len() {
            self.rebuild(self.slots.len() / 2);
        }
        removed
    }

    /// How many records and positions it has room for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        (self.blocks.capacity() * BLOCK).max(self.slots.len())
    }

    fn at(&self, position: usize) -> &Record {
        &self.blocks[position / BLOCK][position % BLOCK]
    }

    fn slot_of(&self, key: &PaymentKey) -> Option<usize> {
        self.probe(key)
            .take_while(|slot| self.slots[*slot] != EMPTY)
            .find(|slot| self.at(self.slots[*slot] as usize).key() == key)
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
            let home = self.home(self.at(position as usize).key());
            // It may move up only if the hole does not lie before its home.
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.slots[hole] = position;
                hole = next;
            }
        }
        self.slots[hole] = EMPTY;
    }

    fn rebuild(&mut self, slots: usize) {
        self.slots = vec![EMPTY; slots];
        for position in 0..self.len() {
            let mut probe = self.probe(self.at(position).key());
            let slot =
                probe.find(|slot| self.slots[*slot] == EMPTY).expect("a quarter of the slots is empty");
            self.slots[slot] = packed(position);
        }
    }
}

fn packed(position: usize) -> u32 {
    u32::try_from(position).expect("a shard has less than 2^32 records")
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
/// So many records are allocated at once: at most as many places are empty.
const BLOCK: usize = 32;
