//! Durable orders in a file, one by one and together.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use tokio::runtime::Builder;
use x402_core::order::OrderStore;
use x402_store::SqliteStore;

use crate::sell;

/// Orders per second in SQLite, each of them six steps that are on the disk before they are answered.
#[derive(Clone, Copy, Debug)]
pub struct SqliteRace {
    /// One seller, who waits for each step.
    pub one_seller: f64,
    /// Several sellers, and a writer that writes each step alone.
    pub alone: f64,
    /// Many sellers, and a writer that writes together what waits.
    pub together: f64,
}

impl SqliteRace {
    /// Measures with files in this folder, which should be on a disk. The three take turns, so that who else uses the
    /// disk meanwhile slows all of them.
    ///
    /// # Panics
    /// If the folder cannot be written.
    #[must_use]
    pub fn run(folder: &Path) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .expect("threads can be started");
        let folder = tempfile::tempdir_in(folder).expect("the folder can be written");
        let mut runners =
            [(GROUP, FEW, 1), (1, FEW, FEW), (GROUP, MANY, SELLERS)].map(|(group, orders, at_once)| {
                let file = folder.path().join(format!("{group}-{orders}.db"));
                let store = SqliteStore::builder().group(group).patience(PATIENCE).open(file);
                let store = Arc::new(store.expect("a new file can be opened"));
                (store, orders, at_once, Duration::ZERO)
            });
        for _ in 0..ROUNDS {
            for (store, orders, at_once, took) in &mut runners {
                let store = Arc::clone(store) as Arc<dyn OrderStore>;
                *took += runtime.block_on(sell(store, *orders, *at_once));
            }
        }
        let [one_seller, alone, together] =
            runners.map(|(_, orders, _, took)| f64::from(orders * ROUNDS) / took.as_secs_f64());
        Self { one_seller, alone, together }
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
        writeln!(f, "{alone:>8.0}  {FEW} sellers, each step alone")?;
        writeln!(f, "{together:>8.0}  {SELLERS} sellers, steps together")?;
        write!(f, "{:>7.1}x  together against alone", self.gain())
    }
}

const ROUNDS: u32 = 8;
const GROUP: usize = 256;
const SELLERS: u32 = 256;
const FEW: u32 = 16;
const MANY: u32 = 1024;
/// A queue in which each step is written alone may be long.
const PATIENCE: Duration = Duration::from_secs(60);
