//! The conformance server as a process of its own, configured by environment alone.

use std::{
    env, fmt, fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Request, Response, binary};

/// Through which adapter the server is built.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framework {
    /// x402-axum
    Axum,
    /// x402-tower, on hyper
    Tower,
    /// x402-actix
    Actix,
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Axum => "axum",
            Self::Tower => "tower",
            Self::Actix => "actix",
        })
    }
}

/// The environment of a server, beside its port, framework and delivery log.
#[derive(Clone, Debug, Default)]
pub struct Environment(Vec<(&'static str, String)>);

impl Environment {
    /// Sets a variable, in place of one that was set before.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.retain(|(own, _)| *own != name);
        self.0.push((name, value.into()));
        self
    }

    /// Takes a variable away.
    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.0.retain(|(own, _)| *own != name);
        self
    }
}

/// A running server. Ends with its value, and with this process however that ends.
#[derive(Debug)]
pub struct Server {
    framework: Framework,
    environment: Environment,
    child: Child,
    address: SocketAddr,
    folder: Folder,
    stderr: Arc<Mutex<String>>,
}

/// One line of the delivery log: written and synced before the answer was given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// The route.
    pub route: String,
    /// The payment's key.
    pub payment: String,
    /// What the response carries as `Delivery-Token`.
    pub token: String,
}

impl Server {
    /// Starts a server on a port of its own and waits until it listens.
    ///
    /// # Panics
    /// When it ends instead, with what it wrote to its standard error.
    #[must_use]
    pub fn start(framework: Framework, environment: Environment) -> Self {
        Self::try_start(framework, environment)
            .unwrap_or_else(|told| panic!("the server did not start: {told}"))
    }

    /// Starts a server that may refuse.
    ///
    /// # Errors
    /// What it wrote to its standard error before it ended.
    pub fn try_start(framework: Framework, environment: Environment) -> Result<Self, String> {
        let folder = Folder::new();
        let (child, address, stderr) = spawn(framework, &environment, &folder, 0)?;
        Ok(Self { framework, environment, child, address, folder, stderr })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path on it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a request on a connection of its own.
    ///
    /// # Panics
    /// When no whole response comes back.
    #[must_use]
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        let sent = request.send(self.address);
        sent.unwrap_or_else(|error| panic!("{error} instead of a response; {}", self.stderr()))
    }

    /// How often the handler of a route ran, as the server counts.
    ///
    /// # Panics
    /// When the server does not tell.
    #[must_use]
    #[track_caller]
    pub fn runs(&self, route: &str) -> u64 {
        self.stats()[route].as_u64().unwrap_or(0)
    }

    /// How often each handler ran: `{"GET /exact": 1, ..}`.
    ///
    /// # Panics
    /// When the server does not tell.
    #[must_use]
    #[track_caller]
    pub fn stats(&self) -> Value {
        self.send(&Request::get("/stats")).json()
    }

    /// The delivery log, over all restarts.
    ///
    /// # Panics
    /// When a line is not as agreed.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        let log = fs::read_to_string(self.folder.log()).unwrap_or_default(); // not there before the first
        log.lines()
            .map(|line| {
                let mut parts = line.splitn(3, ',').map(|part| part.trim().to_owned());
                let mut part = || parts.next().expect("a delivery has three parts");
                Delivery { route: part(), payment: part(), token: part() }
            })
            .collect()
    }

    /// What the server wrote to its standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("readers do not panic").clone()
    }

    /// Asks the process to end, as a service manager does.
    ///
    /// # Panics
    /// Where there is no `kill` command.
    pub fn ask_to_end(&self) {
        self.signal("-TERM");
    }

    /// Lets the process stand still, as a machine does that is moved: connections stay open and time goes on.
    ///
    /// # Panics
    /// As [`ask_to_end`](Self::ask_to_end).
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on after a [`pause`](Self::pause).
    ///
    /// # Panics
    /// As [`ask_to_end`](Self::ask_to_end).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, which: &str) {
        let sent = Command::new("kill").args([which, &self.child.id().to_string()]).status();
        assert!(sent.expect("there is a kill command").success(), "the server is gone already");
    }

    /// Waits for the process to end by itself. (The standard library's own way of waiting closes the pipe that keeps
    /// the process alive.)
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("the server is our child") {
                return status;
            }
            assert!(Instant::now() < until, "the server does not end: {}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the process without a chance to clean up.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn kill(&mut self) {
        let _ = self.child.kill(); // fails only if it is gone already
        self.child.wait().expect("the server is our child");
    }

    /// Starts a killed server again: same port, same environment, same files.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        let port = self.address.port();
        let (child, address, stderr) = spawn(self.framework, &self.environment, &self.folder, port)
            .unwrap_or_else(|told| panic!("the server did not start again: {told}"));
        (self.child, self.address, self.stderr) = (child, address, stderr);
    }

    /// The same with another environment from now on.
    ///
    /// # Panics
    /// As [`restart`](Self::restart).
    pub fn restart_with(&mut self, adjust: impl FnOnce(Environment) -> Environment) {
        self.environment = adjust(std::mem::take(&mut self.environment));
        self.restart();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- the server's log ---\n{}", self.stderr());
        }
    }
}

fn spawn(
    framework: Framework,
    environment: &Environment,
    folder: &Folder,
    port: u16,
) -> Result<(Child, SocketAddr, Arc<Mutex<String>>), String> {
    let mut child = devchain::tethered(binary::conformance_server())
        .env_clear()
        .env("PORT", port.to_string())
        .env("FRAMEWORK", framework.to_string())
        .env("DELIVERY_LOG", folder.log())
        .env("JOURNAL", folder.journal())
        .env("RUST_LOG", env::var("RUST_LOG").unwrap_or_else(|_| "info".into()))
        .env("NO_COLOR", "1")
        .envs(environment.0.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server's process starts");
    let stderr = Arc::new(Mutex::new(String::new()));
    let pipe = child.stderr.take().expect("stderr is piped");
    let collected = Arc::clone(&stderr);
    let collector = thread::spawn(move || collect(pipe, &collected));
    let pipe = child.stdout.take().expect("stdout is piped");
    let (found, address) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let address = line.strip_prefix("listening on http://").and_then(|rest| rest.trim().parse().ok());
            if let Some(address) = address {
                let _ = found.send(address); // nobody waits any more after START_LIMIT
            }
        }
    });
    let Ok(address) = address.recv_timeout(START_LIMIT) else {
        let _ = child.kill(); // fails only if it is gone already
        let _ = child.wait();
        let _ = collector.join();
        return Err(stderr.lock().expect("readers do not panic").clone());
    };
    Ok((child, address, stderr))
}

fn collect(pipe: impl Read, into: &Mutex<String>) {
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        let mut text = into.lock().expect("nobody panics with it");
        text.push_str(&line);
        text.push('\n');
    }
}

/// A folder of the server's own, gone with it.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("x402-tests-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("the temporary folder is writable");
        Self(folder)
    }

    fn log(&self) -> PathBuf {
        self.0.join("deliveries")
    }

    fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // left behind at worst
    }
}

const START_LIMIT: Duration = Duration::from_secs(30);
