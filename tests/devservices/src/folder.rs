use std::{
    env,
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use crate::ServiceError;

/// A temporary folder. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn create(name: &str) -> Result<Self, ServiceError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = (process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(format!("x402-{name}-{}-{}", id.0, id.1));
        let _ = fs::remove_dir_all(&path); // of an earlier process with the same id
        fs::create_dir(&path).map_err(ServiceError::io("creating a temporary folder"))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, ServiceError> {
        let path = self.0.join(name);
        fs::write(&path, text).map_err(ServiceError::io("writing a configuration file"))?;
        Ok(path)
    }

    /// Where a service's output goes; runs after each other share it.
    pub(crate) fn log(&self) -> Result<File, ServiceError> {
        let open = OpenOptions::new().create(true).append(true).open(self.0.join(LOG));
        open.map_err(ServiceError::io("opening a log file"))
    }

    /// The last lines of the log.
    pub(crate) fn log_end(&self) -> String {
        let log = fs::read(self.0.join(LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for _ in 0..REMOVALS {
            if fs::remove_dir_all(&self.0).is_ok() || !self.0.exists() {
                return;
            }
            thread::sleep(PAUSE); // a child of the service is writing yet
        }
    }
}

const LOG: &str = "log";
const LOG_LINES: usize = 12;
const REMOVALS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);
