use crate::{Postgres, ServiceError};

/// How to start a [`Postgres`]. As it stands: every commit is synced to disk, 200 connections.
#[derive(Clone, Debug)]
#[must_use = "nothing is started before `start`"]
pub struct PostgresOptions {
    settings: Vec<(String, String)>,
}

impl PostgresOptions {
    pub(crate) fn new() -> Self {
        let settings = DEFAULTS.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { settings }
    }

    /// Whether commits are synced to disk. Off is faster, and safe against everything but a crash of the machine.
    pub fn fsync(self, on: bool) -> Self {
        self.setting("fsync", if on { "on" } else { "off" })
    }

    /// Any other line of `postgresql.conf`. The last value given counts.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Creates a data folder and starts the server on it.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is missing or does not listen, as with a setting it does not know.
    pub fn start(&self) -> Result<Postgres, ServiceError> {
        Postgres::with(self)
    }

    /// The text of `postgresql.conf`, without the port.
    pub(crate) fn text(&self) -> String {
        self.settings
            .iter()
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect()
    }
}

/// Shared memory in files: a killed server leaves nothing behind, and containers have little of the other kind.
const DEFAULTS: [(&str, &str); 8] = [
    ("listen_addresses", "127.0.0.1"),
    ("max_connections", "200"),
    ("shared_buffers", "32MB"),
    ("dynamic_shared_memory_type", "mmap"),
    ("fsync", "on"),
    ("password_encryption", "scram-sha-256"),
    ("timezone", "UTC"),
    ("logging_collector", "off"),
];

#[cfg(test)]
mod tests {
    use super::PostgresOptions;

    #[test]
    fn last_value_of_a_setting_counts_and_quotes_are_doubled() {
        let text = PostgresOptions::new().fsync(false).setting("log_line_prefix", "'").text();
        let fsync: Vec<_> = text.lines().filter(|line| line.starts_with("fsync")).collect();
        assert_eq!(fsync, ["fsync = 'off'"]);
        assert!(text.contains("log_line_prefix = ''''"), "{text}");
    }
}
