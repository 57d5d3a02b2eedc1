//! A node's endpoint that fails on demand.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What happens to one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The node gets it, the answer is lost.
    CutAfterForwarding,
    /// The node does not get it.
    CutBeforeForwarding,
    /// The node gets it, and is not heard from again.
    DieAfterForwarding,
    /// This is answered instead.
    Answer(&'static str),
    /// This error is answered instead.
    Error(&'static str),
    /// The node's answer comes late.
    Late(Duration),
}

type Plan = Box<dyn FnMut(&str) -> Option<Fault> + Send>;

struct State {
    plan: Plan,
    dead: bool,
}

pub(crate) struct Proxy {
    url: String,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    pub(crate) async fn start(node: &str) -> Self {
        let node = node.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { plan: Box::new(|_| None), dead: false }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, node.clone(), Arc::clone(&shared)));
            }
        });
        Self { url, state }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Decides by the method of each request.
    pub(crate) fn inject(&self, plan: impl FnMut(&str) -> Option<Fault> + Send + 'static) {
        self.state.lock().unwrap().plan = Box::new(plan);
    }

    pub(crate) fn heal(&self) {
        *self.state.lock().unwrap() = State { plan: Box::new(|_| None), dead: false };
    }
}

/// One request per connection.
async fn serve(mut client: TcpStream, node: String, state: Arc<Mutex<State>>) -> Option<()> {
    let (_, body) = message(&mut client).await?;
    let request: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let fault = {
        let mut state = state.lock().unwrap();
        if state.dead { Some(Fault::CutBeforeForwarding) } else { (state.plan)(request["method"].as_str()?) }
    };
    match fault {
        Some(Fault::CutBeforeForwarding) => return None,
        Some(fault @ (Fault::Answer(content) | Fault::Error(content))) => {
            let member = if matches!(fault, Fault::Answer(_)) { "result" } else { "error" };
            let body = format!(r#"{{"jsonrpc":"2.0","id":{},"{member}":{content}}}"#, request["id"]);
            return answer(&mut client, body.as_bytes()).await;
        }
        _ => {}
    }
    let mut upstream = TcpStream::connect(&node).await.ok()?;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {node}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    upstream.write_all(head.as_bytes()).await.ok()?;
    upstream.write_all(&body).await.ok()?;
    let (_, body) = message(&mut upstream).await?;
    match fault {
        Some(Fault::CutAfterForwarding) => None,
        Some(Fault::DieAfterForwarding) => {
            state.lock().unwrap().dead = true;
            None
        }
        Some(Fault::Late(by)) => {
            tokio::time::sleep(by).await;
            answer(&mut client, &body).await
        }
        _ => answer(&mut client, &body).await,
    }
}

async fn answer(client: &mut TcpStream, body: &[u8]) -> Option<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await.ok()?;
    client.write_all(body).await.ok()?;
    client.shutdown().await.ok()
}

/// Head and body of an HTTP message with a content length.
async fn message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
        let length: usize = length.trim().parse().ok()?;
        if bytes.len() >= end + 4 + length {
            return Some((head, bytes[end + 4..end + 4 + length].to_vec()));
        }
    }
}
