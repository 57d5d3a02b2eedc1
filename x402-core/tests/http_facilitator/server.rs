//! A web server that answers by script.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use x402_core::facilitator::HttpFacilitator;

/// How one request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// With this status and JSON.
    Json(u16, Value),
    /// With these bytes, after which the connection is closed.
    Bytes(Vec<u8>),
    /// Not at all.
    Hang,
    /// With these bytes and then nothing more, the connection left open.
    Stall(Vec<u8>),
    /// With a head at once, and a byte of its body now and then.
    Drip,
    /// With this many bytes of JSON, of a length that is told or not.
    Long { bytes: usize, told: bool },
    /// By a reset of the connection.
    Reset,
}

/// What the server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Asked {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Answers requests in order of arrival; those past the end of the script hang.
pub(crate) struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(acts: impl IntoIterator<Item = Act>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), acts)
    }

    pub(crate) fn on(listener: TcpListener, acts: impl IntoIterator<Item = Act>) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let acts = Arc::new(Mutex::new(acts.into_iter().collect::<VecDeque<_>>()));
        let seen = Arc::clone(&asked);
        let connections = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(connection, Arc::clone(&seen), Arc::clone(&acts)));
            }
        });
        Self { url, asked, connections, task }
    }

    /// A facilitator's client for this server.
    pub(crate) fn facilitator(&self) -> HttpFacilitator {
        HttpFacilitator::new(&self.url).unwrap()
    }

    /// The same with limits that tests can wait for.
    pub(crate) fn impatient(&self) -> HttpFacilitator {
        self.facilitator().verify_timeout(SHORT).settle_timeout(SHORT)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An address of this machine where nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A whole answer with a body of any type.
pub(crate) fn answer(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn serve(mut connection: TcpStream, asked: Arc<Mutex<Vec<Asked>>>, acts: Arc<Mutex<VecDeque<Act>>>) {
    while let Some(request) = read(&mut connection).await {
        asked.lock().unwrap().push(request);
        let act = acts.lock().unwrap().pop_front().unwrap_or(Act::Hang);
        if !perform(&mut connection, act).await {
            return;
        }
    }
}

/// Whether the connection may be used again.
async fn perform(connection: &mut TcpStream, act: Act) -> bool {
    match act {
        Act::Json(status, json) => {
            let answer = answer(&format!("{status} Told"), "application/json", &json.to_string());
            connection.write_all(&answer).await.is_ok()
        }
        Act::Bytes(bytes) => {
            connection.write_all(&bytes).await.ok();
            connection.shutdown().await.ok();
            false
        }
        Act::Hang => forever().await,
        Act::Stall(bytes) => {
            connection.write_all(&bytes).await.ok();
            forever().await
        }
        Act::Drip => {
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n{").await.ok();
            while connection.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            false
        }
        Act::Long { bytes, told } => {
            let length = if told { format!("content-length: {bytes}\r\n") } else { String::new() };
            let head = format!("HTTP/1.1 200 OK\r\n{length}connection: close\r\n\r\n{{\"isValid\":true");
            connection.write_all(head.as_bytes()).await.ok();
            let spaces = vec![b' '; bytes];
            connection.write_all(&spaces).await.ok();
            connection.shutdown().await.ok();
            false
        }
        Act::Reset => {
            connection.set_zero_linger().unwrap();
            false
        }
    }
}

async fn forever() -> bool {
    std::future::pending().await
}

async fn read(connection: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = connection.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.map_or(0, |length| length.parse().unwrap()) {
                return Some(Asked { head: head.to_owned(), body: body.to_owned() });
            }
        }
    }
}

const SHORT: Duration = Duration::from_millis(400);
