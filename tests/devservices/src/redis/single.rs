use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use nix::sys::signal::Signal;

use super::{RedisOptions, resp};
use crate::{
    ServiceError, account::Account, folder::Folder, ports, process::Process, programs, server::Server, wait,
};

/// A running Redis. Dropping it ends it and removes its data; see the [crate docs](crate) for an example.
#[derive(Debug)]
#[must_use = "the server ends when this is dropped"]
pub struct Redis {
    server: Server,
    pub(super) options: RedisOptions,
    settings: Mutex<Settings>,
}

/// What may change between two runs of the same server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) port: u16,
    /// The port on which the nodes of a cluster talk.
    pub(super) bus: Option<u16>,
    /// The port of the server it copies.
    pub(super) primary: Option<u16>,
}

impl Redis {
    /// Starts a server with [what the options say at first](RedisOptions).
    ///
    /// # Errors
    ///
    /// When `redis-server` is missing or does not listen.
    pub fn start() -> Result<Self, ServiceError> {
        Self::options().start()
    }

    /// For a server with a memory limit, another persistence, a password.
    pub fn options() -> RedisOptions {
        RedisOptions::new()
    }

    /// Where it listens, as `redis://127.0.0.1:port`, with the password if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        let password = self.options.secret().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{password}127.0.0.1:{}", self.port())
    }

    /// The port of [`url`](Self::url). It stays the same through every restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.settings().port
    }

    /// The id of the server's process.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn process_id(&self) -> Result<u32, ServiceError> {
        self.server.id()
    }

    /// Sends a command over a new connection and gives the answer as text: numbers in digits, nothing as the empty
    /// text, lists with an element per line.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or answers with an error.
    pub fn command(&self, words: &[&str]) -> Result<String, ServiceError> {
        let secret = self.options.secret().map(|secret| ["AUTH", secret]);
        let commands: Vec<&[&str]> = secret.iter().map(|words| &words[..]).chain([words]).collect();
        let answer = resp::call(self.port(), &commands).map_err(ServiceError::io("asking redis-server"))?;
        answer.map_err(|answer| ServiceError::Refused {
            command: words.iter().take(2).copied().collect::<Vec<_>>().join(" "),
            answer,
        })
    }

    /// Forgets every key.
    ///
    /// # Errors
    ///
    /// As [`command`](Self::command).
    pub fn flush(&self) -> Result<(), ServiceError> {
        self.command(&["FLUSHALL"]).map(drop)
    }

    /// Stops it in order (SIGTERM): what it persists is on disk afterwards.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn stop(&self) -> Result<(), ServiceError> {
        self.server.end(Signal::SIGTERM)
    }

    /// Kills it (SIGKILL).
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn kill(&self) -> Result<(), ServiceError> {
        self.server.end(Signal::SIGKILL)
    }

    /// Starts it again on the same port with the same files; stops it before that if it still runs.
    ///
    /// # Errors
    ///
    /// When it does not listen.
    pub fn restart(&self) -> Result<(), ServiceError> {
        self.server.replace(Signal::SIGTERM, || self.spawn())?;
        self.listening()
    }

    /// Lets it hang (SIGSTOP): connections stay open and nothing is answered.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn pause(&self) -> Result<(), ServiceError> {
        self.server.pause()
    }

    /// Lets it go on after a [`pause`](Self::pause) (SIGCONT).
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn resume(&self) -> Result<(), ServiceError> {
        self.server.signal(Signal::SIGCONT)
    }

    /// Another process may take the port before the server does.
    pub(crate) fn with(options: &RedisOptions, primary: Option<u16>) -> Result<Self, ServiceError> {
        programs::redis_server().map_err(ServiceError::Missing)?;
        let mut attempts = 1;
        loop {
            let settings =
                Settings { port: ports::free(), bus: options.is_cluster_node().then(ports::free), primary };
            let redis = Self {
                server: Server::new("redis-server", Folder::create("redis")?),
                options: options.clone(),
                settings: Mutex::new(settings),
            };
            match redis.restart() {
                Err(ServiceError::Ended { log, .. }) if attempts < ATTEMPTS && log.contains(TAKEN) => {
                    attempts += 1;
                }
                done => return done.map(|()| redis),
            }
        }
    }

    /// The port on which a cluster's nodes talk to it.
    pub(crate) fn bus(&self) -> Option<u16> {
        self.settings().bus
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.lock().expect("no holder panics"));
    }

    /// The lines of an `INFO` section's answer that start with `name:`.
    pub(crate) fn info(&self, section: &str, name: &str) -> Result<String, ServiceError> {
        let text = self.command(&["INFO", section])?;
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Ok(found.unwrap_or_default().trim().to_owned())
    }

    fn spawn(&self) -> Result<Process, ServiceError> {
        let binary = programs::redis_server().map_err(ServiceError::Missing)?;
        let Settings { port, bus, primary } = *self.settings();
        let mut text = format!("port {port}\n{}", self.options.text());
        if let Some(bus) = bus {
            text += &format!("cluster-port {bus}\n");
        }
        if let Some(primary) = primary {
            text += &format!("replicaof 127.0.0.1 {primary}\n");
        }
        let folder = self.server.folder();
        folder.write("redis.conf", &text)?;
        Process::spawn(&binary, &["redis.conf"], folder, &Account::Ours, Signal::SIGKILL)
    }

    /// Waits until the answers come from our process, and its data is loaded.
    fn listening(&self) -> Result<(), ServiceError> {
        let id = self.process_id()?.to_string();
        wait::until("redis-server to listen", START_LIMIT, || {
            self.server.still_runs()?;
            Ok(match (self.info("server", "process_id"), self.info("persistence", "loading")) {
                (Ok(found), Ok(loading)) if found == id && loading == "0" => Ok(()),
                (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
                (Ok(found), Ok(loading)) => Err(format!("process {found}, loading {loading}")),
            })
        })
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().expect("no holder panics")
    }
}

const START_LIMIT: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 5;
const TAKEN: &str = "Address already in use";
