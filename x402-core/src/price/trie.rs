//! A tree over path segments. Its depth, not its size, decides what a look-up costs.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use super::pattern::Segment;

/// A node: where the path goes on, and what ends here.
#[derive(Debug)]
pub(super) struct Node<T> {
    literals: HashMap<Box<str>, Self, BuildHasherDefault<Fnv>>,
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

/// Hashes short texts fast (FNV-1a). Only the table's author writes keys, so nobody can make them collide.
#[derive(Debug)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}
