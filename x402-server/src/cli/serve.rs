//! A listener whose connections end: heads that do not come, and connections that nobody closes.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

/// What is put up with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long the head of a request may take, and a connection wait for its next.
    pub(super) head: Duration,
    /// How many connections there may be; more wait to be taken.
    pub(super) connections: usize,
    /// How long connections have at the end.
    pub(super) close: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: Duration::from_secs(15), connections: 4_096, close: Duration::from_secs(4) }
    }
}

/// Serves until `end`, then closes: answers that are being made have their time.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    end: impl Future<Output = ()>,
) {
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut end = pin!(end);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("places are never closed");
            (accept(&listener).await, place)
        };
        let (stream, place) = tokio::select! {
            next = next => next,
            () = &mut end => break,
        };
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(limits.head);
        let service = TowerToHyperService::new(router.clone());
        let connection = connections.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    // Whoever still holds one open is cut off.
    let _ = timeout(limits.close, connections.shutdown()).await;
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small, and waited for.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken");
                sleep(AFTER_REFUSAL).await;
            }
        }
    }
}

/// Files come back as connections end.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::oneshot,
    };

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

    async fn start(
        limits: Limits,
    ) -> (std::net::SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "here"));
        let (end, ended) = oneshot::channel();
        let serving = tokio::spawn(serve(listener, router, limits, async move { drop(ended.await) }));
        (address, end, serving)
    }

    async fn ask(address: std::net::SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await;
        read.expect("the connection ends").unwrap();
        answer
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_ends_its_connection() {
        let limits = Limits { head: Duration::from_millis(50), ..Limits::default() };
        let (address, _end, _serving) = start(limits).await;
        assert!(!ask(address, b"GET / HTTP/1.1\r\nhost").await.contains("here"));
        assert!(ask(address, REQUEST).await.ends_with("here"));
    }

    #[tokio::test]
    async fn connections_over_the_most_wait_for_their_turn() {
        let limits = Limits { head: Duration::from_millis(200), connections: 1, ..Limits::default() };
        let (address, _end, _serving) = start(limits).await;
        let idle = TcpStream::connect(address).await.unwrap();
        assert!(ask(address, REQUEST).await.ends_with("here"), "after the idle one was ended");
        drop(idle);
    }

    #[tokio::test]
    async fn it_ends_although_a_connection_is_held_open() {
        let limits = Limits { close: Duration::from_millis(50), ..Limits::default() };
        let (address, end, serving) = start(limits).await;
        let mut held = TcpStream::connect(address).await.unwrap();
        held.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        end.send(()).unwrap();
        timeout(Duration::from_secs(10), serving).await.expect("it ends").unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    }
}
