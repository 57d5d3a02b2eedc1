//! The delivery log: what was handed out, on disk before it was.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex},
};

/// A file that is appended to and synced, line by line.
#[derive(Clone, Debug)]
pub(crate) struct DeliveryLog {
    file: Arc<Mutex<File>>,
}

impl DeliveryLog {
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file =
            file.map_err(|error| format!("DELIVERY_LOG: cannot append to {}: {error}", path.display()))?;
        Ok(Self { file: Arc::new(Mutex::new(file)) })
    }

    /// Returns once the line is on disk.
    pub(crate) async fn append(&self, line: String) -> io::Result<()> {
        let file = Arc::clone(&self.file);
        let append = move || {
            let mut file = file.lock().expect("writers do not panic");
            file.write_all(line.as_bytes())?;
            file.sync_data()
        };
        tokio::task::spawn_blocking(append).await.map_err(io::Error::other)?
    }
}

/// 128 random bits in hexadecimal.
pub(crate) fn token() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
