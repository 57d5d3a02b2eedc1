use x402_core::{error::BoxError, scheme::PaymentKey};
use x402_evm::{FileJournal, Journal, JournalEntry};

use super::{Crash, Step};

/// A journal after whose note this process may die.
#[derive(Debug)]
pub(crate) struct CrashingJournal {
    pub(crate) inner: FileJournal,
    pub(crate) crash: Crash,
}

impl Journal for CrashingJournal {
    fn note(&self, entry: &JournalEntry) -> Result<(), BoxError> {
        self.inner.note(entry)?;
        self.crash.reached(Step::Noted);
        Ok(())
    }

    fn find(&self, payment: &PaymentKey) -> Vec<JournalEntry> {
        self.inner.find(payment)
    }
}
