//! A tree over path segments. Its depth, not its size, decides what a look-up costs.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use super::pattern::Segment;

/// A node: where the path goes on, and what ends here.
#[derive(Clone, Debug)]
pub(super) struct Node<T> {
    literals: HashMap<Box<str>, Self, BuildHasherDefault<TextHasher>>,
    param: Option<Box<Self>>,
    wildcard: Option<T>,
    here: Option<T>,
}

impl<T: Default> Node<T> {
    /// What belongs to these segments, made if it is missing. Names of parameters do not matter.
    pub(super) fn entry(&mut self, segments: &[Segment]) -> &mut T {
        match segments {
            [] => self.here.get_or_insert_default(),
            [Segment::Literal(text), rest @ ..] => self.literals.entry(text.clone()).or_default().entry(rest),
            [Segment::Param(_), rest @ ..] => self.param.get_or_insert_default().entry(rest),
            [Segment::Wildcard(_), ..] => self.wildcard.get_or_insert_default(),
        }
    }
}

impl<T> Node<T> {
    /// Shows everything in the tree to `change`.
    pub(super) fn change(&mut self, change: &mut impl FnMut(&mut T)) {
        self.literals.values_mut().for_each(|node| node.change(change));
        if let Some(node) = &mut self.param {
            node.change(change);
        }
        self.wildcard.iter_mut().chain(&mut self.here).for_each(change);
    }

    /// Shows `accept` what fits the path, the most specific first, until it takes something. `path` is what
    /// stands behind the last slash, or nothing at the path's end. Allocates nothing, and visits each node once.
    pub(super) fn find<'a, R>(
        &'a self,
        path: Option<&str>,
        accept: &mut impl FnMut(&'a T) -> Option<R>,
    ) -> Option<R> {
        let Some(path) = path else { return self.here.as_ref().and_then(accept) };
        let (segment, rest) = match path.bytes().position(|byte| byte == b'/') {
            Some(slash) => (&path[..slash], Some(&path[slash + 1..])),
            None => (path, None),
        };
        if let Some(found) = self.literals.get(segment).and_then(|node| node.find(rest, accept)) {
            return Some(found);
        }
        if let Some(node) = self.param.as_ref().filter(|_| !segment.is_empty())
            && let Some(found) = node.find(rest, accept)
        {
            return Some(found);
        }
        self.wildcard.as_ref().filter(|_| !path.is_empty()).and_then(accept)
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { literals: HashMap::default(), param: None, wildcard: None, here: None }
    }
}

/// Hashes one short text fast, eight bytes at a time. Only the table's author writes keys, so nobody can make them
/// collide.
#[derive(Debug, Default)]
struct TextHasher(u64);

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let rest = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        for word in words.iter().map(|word| u64::from_le_bytes(*word)).chain([rest]) {
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    /// The mark behind a text, which a key of one text does not need.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
