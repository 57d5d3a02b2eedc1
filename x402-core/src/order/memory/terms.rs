//! One copy of what many orders buy.

use std::sync::Arc;

use crate::order::Terms;

/// The terms of the last orders. A price that was quoted arrives as a copy of its own with every payment; orders keep
/// the one that is here.
#[derive(Default)]
pub(super) struct Shared {
    recent: Vec<Arc<Terms>>,
    oldest: usize,
}

impl Shared {
    pub(super) fn share(&mut self, terms: Arc<Terms>) -> Arc<Terms> {
        if let Some(known) = self.recent.iter().find(|known| **known == terms) {
            return Arc::clone(known);
        }
        if self.recent.len() < RECENT {
            self.recent.push(Arc::clone(&terms));
        } else {
            self.recent[self.oldest] = Arc::clone(&terms);
            self.oldest = (self.oldest + 1) % RECENT;
        }
        terms
    }
}

/// So many prices are cheap to compare with, in each shard.
const RECENT: usize = 32;
