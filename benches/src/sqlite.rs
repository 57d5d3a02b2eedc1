//! Durable orders in a file, one by one and together.

use std::{fmt, path::Path, sync::Arc};

use x402_store::SqliteStore;

use crate::orders_per_second;

/// Orders per second in SQLite, each of them six steps that are on the disk before they are answered.
#[derive(Clone, Copy, Debug)]
pub struct SqliteRace {
    /// One seller, who waits for each step.
    pub one_seller: f64,
    /// Many sellers, and a writer that writes each step alone.
    pub alone: f64,
    /// Many sellers, and a writer that writes together what waits.
    pub together: f64,
}

impl SqliteRace {
    /// Measures in a temporary folder of the working directory, so on a disk, where the system's is none.
    ///
    /// # Panics
    /// If the folder cannot be written.
    #[must_use]
    pub fn run(folder: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .expect("a runtime");
        let measure = |group, orders, at_once| {
            let folder = tempfile::tempdir_in(folder).expect("the folder can be written");
            let store =
                SqliteStore::builder().group(group).patience(PATIENCE).open(folder.path().join("orders.db"));
            let store = Arc::new(store.expect("a new file can be opened"));
            runtime.block_on(orders_per_second(store, orders, at_once))
        };
        Self {
            one_seller: measure(GROUP, FEW, 1),
            alone: measure(1, FEW, SELLERS),
            together: measure(GROUP, MANY, SELLERS),
        }
    }

    /// How many times as many orders are written together as alone.
    #[must_use]
    pub fn gain(&self) -> f64 {
        self.together / self.alone.max(self.one_seller)
    }
}

impl fmt::Display for SqliteRace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { one_seller, alone, together } = self;
        writeln!(f, "durable orders per second in SQLite")?;
        writeln!(f, "{one_seller:>8.0}  one seller")?;
        writeln!(f, "{alone:>8.0}  {SELLERS} sellers, each step alone")?;
        writeln!(f, "{together:>8.0}  {SELLERS} sellers, steps together")?;
        write!(f, "{:>7.1}x  together against alone", self.gain())
    }
}

const GROUP: usize = 256;
const SELLERS: u32 = 256;
const FEW: u32 = 100;
const MANY: u32 = 4000;
/// A queue of so many, each written alone, waits for seconds.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
