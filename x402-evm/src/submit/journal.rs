//! What was sent, written down before it is sent.

use std::{
    collections::{HashMap, VecDeque},
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use x402_core::{
    error::{BoxError, ConfigError},
    scheme::PaymentKey,
};

use crate::hex;

/// Remembers transactions from just before they are sent, so that a restart waits for them instead of sending more.
pub trait Journal: Send + Sync {
    /// Writes the entry down. Nothing is sent unless this succeeds. May block on a disk.
    ///
    /// # Errors
    /// The entry may not be there after a crash.
    fn note(&self, entry: &JournalEntry) -> Result<(), BoxError>;

    /// Writes the entries of one transaction down, as [`note`](Self::note) does; at once where that is quicker.
    ///
    /// # Errors
    /// One of the entries may not be there after a crash.
    fn note_all(&self, entries: &[JournalEntry]) -> Result<(), BoxError> {
        entries.iter().try_for_each(|entry| self.note(entry))
    }

    /// The entries of a payment that are still kept, oldest first.
    fn find(&self, payment: &PaymentKey) -> Vec<JournalEntry>;
}

/// A transaction that is about to be sent. One that settles several payments has an entry for each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct JournalEntry {
    /// The payment it settles.
    pub payment: PaymentKey,
    /// Its hash.
    pub transaction: [u8; 32],
    /// The sending account's nonce in it.
    pub account_nonce: u64,
}

/// The last ten thousand entries, for as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    order: VecDeque<JournalEntry>,
    by_payment: HashMap<PaymentKey, Vec<JournalEntry>>,
}

impl MemoryJournal {
    fn keep(&self, entry: JournalEntry) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.order.push_back(entry);
        kept.by_payment.entry(entry.payment).or_default().push(entry);
        if kept.order.len() > LIMIT {
            let oldest = kept.order.pop_front().expect("longer than the limit");
            if let Some(entries) = kept.by_payment.get_mut(&oldest.payment) {
                entries.remove(0);
                if entries.is_empty() {
                    kept.by_payment.remove(&oldest.payment);
                }
            }
        }
    }
}

impl Journal for MemoryJournal {
    fn note(&self, entry: &JournalEntry) -> Result<(), BoxError> {
        self.keep(*entry);
        Ok(())
    }

    fn find(&self, payment: &PaymentKey) -> Vec<JournalEntry> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_payment.get(payment).cloned().unwrap_or_default()
    }
}

/// A file of lines, one for each entry, synced before each transaction is sent; the last ten thousand are kept.
#[derive(Debug)]
pub struct FileJournal {
    file: Mutex<File>,
    kept: MemoryJournal,
}

impl FileJournal {
    /// Opens or creates the file and drops what is too old. One process may use it at a time.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read and written.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let path = path.into();
        let wrong = |error| {
            ConfigError::new("journal", format!("{} cannot be used", path.display())).with_source(error)
        };
        let kept = MemoryJournal::default();
        match File::open(&path) {
            Ok(file) => read(file, &kept).map_err(wrong)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(wrong(error)),
        }
        rewrite(&path, &kept).map_err(wrong)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(wrong)?;
        Ok(Self { file: Mutex::new(file), kept })
    }
}

impl Journal for FileJournal {
    fn note(&self, entry: &JournalEntry) -> Result<(), BoxError> {
        self.note_all(std::slice::from_ref(entry))
    }

    fn note_all(&self, entries: &[JournalEntry]) -> Result<(), BoxError> {
        let lines: String = entries.iter().map(line).collect();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(lines.as_bytes())?;
        file.sync_data()?;
        entries.iter().for_each(|entry| self.kept.keep(*entry));
        Ok(())
    }

    fn find(&self, payment: &PaymentKey) -> Vec<JournalEntry> {
        self.kept.find(payment)
    }
}

/// A line that was cut off by a crash was never followed by a transaction, and is passed over.
fn read(file: File, kept: &MemoryJournal) -> std::io::Result<()> {
    for text in BufReader::new(file).lines() {
        if let Some(entry) = parse(&text?) {
            kept.keep(entry);
        }
    }
    Ok(())
}

fn rewrite(path: &Path, kept: &MemoryJournal) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    let kept = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
    let text: String = kept.order.iter().map(line).collect();
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(fresh, path)
}

fn line(entry: &JournalEntry) -> String {
    let transaction = hex::encode(&entry.transaction);
    format!("{} {transaction} {}\n", entry.payment, entry.account_nonce)
}

fn parse(text: &str) -> Option<JournalEntry> {
    let mut words = text.split(' ');
    let payment = PaymentKey::from_bytes(hex::decode(words.next()?)?);
    let transaction = hex::decode(words.next()?)?;
    let account_nonce = words.next()?.parse().ok()?;
    words.next().is_none().then_some(JournalEntry { payment, transaction, account_nonce })
}

const LIMIT: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(payment: u8, account_nonce: u64) -> JournalEntry {
        JournalEntry { payment: PaymentKey::from_bytes([payment; 32]), transaction: [7; 32], account_nonce }
    }

    #[test]
    fn a_file_remembers_and_survives_a_line_cut_short() {
        let path = std::env::temp_dir().join(format!("x402-journal-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let journal = FileJournal::open(&path).unwrap();
        journal.note(&entry(1, 4)).unwrap();
        journal.note(&entry(2, 5)).unwrap();
        journal.note_all(&[entry(1, 6), entry(4, 6)]).unwrap();
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&line(&entry(3, 7)).as_bytes()[..90]).unwrap();
        for _ in 0..2 {
            let journal = FileJournal::open(&path).unwrap();
            assert_eq!(journal.find(&PaymentKey::from_bytes([1; 32])), [entry(1, 4), entry(1, 6)]);
            assert_eq!(journal.find(&PaymentKey::from_bytes([4; 32])), [entry(4, 6)]);
            assert_eq!(journal.find(&PaymentKey::from_bytes([3; 32])), []);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn memory_is_bounded() {
        let journal = MemoryJournal::default();
        for nonce in 0..2 * LIMIT as u64 {
            journal.note(&entry((nonce % 200) as u8, nonce)).unwrap();
        }
        let kept = journal.0.lock().unwrap();
        assert_eq!(kept.order.len(), LIMIT);
        assert_eq!(kept.by_payment.values().map(Vec::len).sum::<usize>(), LIMIT);
    }
}
