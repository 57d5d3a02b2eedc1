use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use nix::sys::signal::Signal;

use super::PostgresOptions;
use crate::{
    ServiceError, account::Account, folder::Folder, ports, process::Process, programs, server::Server, wait,
};

/// A running PostgreSQL. Dropping it ends it and removes its data; see the [crate docs](crate) for an example.
///
/// `PostgreSQL` does not serve root: where we are root it runs as `postgres`, the user that its package creates.
#[derive(Debug)]
#[must_use = "the server ends when this is dropped"]
pub struct Postgres {
    server: Server,
    account: Account,
    port: u16,
    pub(super) databases: AtomicU32,
}

impl Postgres {
    /// Starts a server with [what the options say at first](PostgresOptions), on an empty data folder.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is missing or does not listen.
    pub fn start() -> Result<Self, ServiceError> {
        Self::options().start()
    }

    /// For a server with other settings.
    pub fn options() -> PostgresOptions {
        PostgresOptions::new()
    }

    /// The one server of this process, started by the first call. It ends with the process. Do not stop it: other
    /// tests use it too. It does not sync to disk, which every new database would wait for: figures want
    /// [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), on every call.
    pub fn shared() -> Result<&'static Self, ServiceError> {
        static SHARED: OnceLock<Result<Postgres, ServiceError>> = OnceLock::new();
        SHARED.get_or_init(|| Self::options().fsync(false).start()).as_ref().map_err(Clone::clone)
    }

    /// The port of every URL. It stays the same through every restart.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The id of the server's first process.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn process_id(&self) -> Result<u32, ServiceError> {
        self.server.id()
    }

    /// Stops it in order (SIGINT, its "fast" shutdown): what runs is rolled back, clients are disconnected.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn stop(&self) -> Result<(), ServiceError> {
        self.server.end(Signal::SIGINT)
    }

    /// Kills it and the processes that serve its connections (SIGKILL): the next start recovers from the log.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn kill(&self) -> Result<(), ServiceError> {
        self.server.kill_with_children()
    }

    /// Starts it again on the same port with the same data; stops it before that if it still runs.
    ///
    /// # Errors
    ///
    /// When it does not listen.
    pub fn restart(&self) -> Result<(), ServiceError> {
        wait::until("the processes of a killed server to end", START_LIMIT, || {
            self.server.replace(Signal::SIGINT, || self.spawn())?;
            match self.listening() {
                Err(ServiceError::Ended { log, .. }) if log.contains(SURVIVORS) => Ok(Err(log)),
                done => done.map(Ok),
            }
        })
    }

    /// Another process may take the port before the server does.
    pub(crate) fn with(options: &PostgresOptions) -> Result<Self, ServiceError> {
        let mut attempts = 1;
        loop {
            let postgres = Self {
                server: Server::new("postgres", Folder::create("postgres")?),
                account: Account::for_postgres()?,
                port: ports::free(),
                databases: AtomicU32::new(0),
            };
            postgres.create(options)?;
            match postgres.restart() {
                Err(ServiceError::Ended { log, .. }) if attempts < ATTEMPTS && log.contains(TAKEN) => {
                    attempts += 1;
                }
                Err(error) => return Err(error),
                Ok(()) => break postgres.with_roles(),
            }
        }
    }

    pub(super) fn next_database(&self) -> u32 {
        self.databases.fetch_add(1, Ordering::Relaxed)
    }

    /// A program of the server's own version.
    pub(super) fn program(name: &str) -> Result<PathBuf, ServiceError> {
        Ok(programs::postgres_folder().map_err(ServiceError::Missing)?.join(name))
    }

    /// `initdb`, and a configuration of ours. A database cluster that was only just created may be lost in a crash of
    /// the machine, so nothing is synced yet.
    fn create(&self, options: &PostgresOptions) -> Result<(), ServiceError> {
        let folder = self.server.folder();
        self.account.give(folder.path())?;
        let mut initdb = Command::new(Self::program("initdb")?);
        self.account.apply(&mut initdb);
        initdb
            .current_dir(folder.path())
            .args(["--pgdata", DATA, "--no-sync", "--no-locale", "--encoding", "UTF8"])
            .args(["--username", super::database::ADMIN, "--auth", "trust", "--no-instructions"])
            .stdin(Stdio::null());
        let output = initdb.output().map_err(ServiceError::io("starting initdb"))?;
        if !output.status.success() {
            let answer = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(ServiceError::Refused { command: "initdb".to_owned(), answer });
        }
        let sockets = folder.path().display();
        let text = format!("{}port = {}\nunix_socket_directories = '{sockets}'\n", options.text(), self.port);
        folder.write(&format!("{DATA}/postgresql.conf"), &text)?;
        folder.write(&format!("{DATA}/pg_hba.conf"), super::database::ACCESS)?;
        Ok(())
    }

    fn spawn(&self) -> Result<Process, ServiceError> {
        let binary = Self::program("postgres")?;
        Process::spawn(&binary, &["-D", DATA], self.server.folder(), &self.account, Signal::SIGQUIT)
    }

    /// Waits until our process says in its lock file that it takes connections.
    fn listening(&self) -> Result<(), ServiceError> {
        let id = self.process_id()?.to_string();
        let file = self.server.folder().path().join(DATA).join("postmaster.pid");
        wait::until("postgres to listen", START_LIMIT, || {
            self.server.still_runs()?;
            let text = fs::read_to_string(&file).unwrap_or_default();
            let lines: Vec<_> = text.lines().map(str::trim).collect();
            let ready = lines.first() == Some(&id.as_str()) && lines.get(STATUS_LINE) == Some(&"ready");
            Ok(if ready { Ok(()) } else { Err(text.replace('\n', " ")) })
        })
    }
}

const DATA: &str = "data";
/// Of `postmaster.pid`, counted from zero.
const STATUS_LINE: usize = 7;
const START_LIMIT: Duration = Duration::from_secs(60);
const ATTEMPTS: u32 = 5;
const TAKEN: &str = "Address already in use";
const SURVIVORS: &str = "is still in use";
