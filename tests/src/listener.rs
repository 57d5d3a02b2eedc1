//! A small HTTP server for the other ends that tests put up: one request, one answer, and the connection is closed.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

/// A request that came in.
#[derive(Debug)]
pub(crate) struct Received {
    /// The method and the target.
    pub(crate) line: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// Answers requests until the process ends, each in a thread of its own; `None` hangs up without an answer.
pub(crate) fn listen(answer: impl Fn(&Received) -> Option<Vec<u8>> + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port is free");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = answer.clone();
            thread::spawn(move || {
                let Some((received, mut stream)) = receive(stream) else { return };
                if let Some(bytes) = answer(&received) {
                    let _ = stream.write_all(&bytes); // the other end may have left
                }
            });
        }
    });
    address
}

/// The bytes of a response with a JSON body.
pub(crate) fn json(status: u16, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn receive(stream: TcpStream) -> Option<(Received, TcpStream)> {
    stream.set_read_timeout(Some(IDLE_LIMIT)).ok()?;
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        match header.trim_end().split_once(':') {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()?;
            }
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((Received { line, body }, reader.into_inner()))
}

const IDLE_LIMIT: Duration = Duration::from_secs(60);
