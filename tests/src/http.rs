//! HTTP/1.1 by hand on a socket: what a test says is what is sent, and nothing is followed, retried or corrected.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

use crate::Payment;

/// A request, as free of rules as its bytes.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request without headers of its own; [`bytes`](Self::bytes) adds `Host` and `Connection: close`.
    #[must_use]
    pub fn new(method: &str, target: impl Into<Vec<u8>>) -> Self {
        Self { method: method.to_owned(), target: target.into(), headers: Vec::new(), body: None }
    }

    /// A `GET`.
    #[must_use]
    pub fn get(target: impl Into<Vec<u8>>) -> Self {
        Self::new("GET", target)
    }

    /// A `POST` of text.
    #[must_use]
    pub fn post(target: impl Into<Vec<u8>>, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Some(body.into()), ..Self::new("POST", target) }.header("Content-Type", "text/plain")
    }

    /// Adds a body of JSON.
    #[must_use]
    pub fn json(self, body: &[u8]) -> Self {
        Self { body: Some(body.to_vec()), ..self }.header("Content-Type", "application/json")
    }

    /// Adds a header, also where there is one of that name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a payment, in the header of its dialect.
    #[must_use]
    pub fn paying(self, payment: &Payment) -> Self {
        self.header(payment.header_name(), payment.text())
    }

    /// Whether the response to this has no body whatever its headers say.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The bytes to be sent.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(self.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        let mut line = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        for (name, value) in [("Host", "shop.test"), ("Connection", "close")] {
            if !self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
                line(name, value.as_bytes());
            }
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        if let Some(body) = &self.body {
            line("Content-Length", body.len().to_string().as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }

    /// Sends this on a connection of its own and reads the response whole.
    ///
    /// # Errors
    /// No connection, or one that ended before the response did.
    pub fn send(&self, to: SocketAddr) -> io::Result<Response> {
        let mut connection = Connection::open(to)?;
        connection.write(&self.bytes())?;
        connection.response(self.is_head())
    }
}

/// A response, or as much of it as was read.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in lower case, values as sent, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body, without framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header that is there at most once.
    ///
    /// # Panics
    /// When it is there twice.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert_eq!(values.next(), None, "{name} was sent twice: {:?}", self.headers);
        first
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {} {:?}", self.status, self.text()))
    }

    /// The JSON in a base64 header, if the header is there.
    ///
    /// # Panics
    /// When it is there and is not base64 over JSON.
    #[must_use]
    #[track_caller]
    pub fn decoded(&self, name: &str) -> Option<Value> {
        let json = BASE64_STANDARD.decode(self.header(name)?).expect("header is base64");
        Some(serde_json::from_slice(&json).expect("header holds JSON"))
    }

    /// The receipt, from the header of either dialect.
    ///
    /// # Panics
    /// When there is none, or one in both.
    #[must_use]
    #[track_caller]
    pub fn receipt(&self) -> Value {
        match (self.decoded("payment-response"), self.decoded("x-payment-response")) {
            (Some(receipt), None) | (None, Some(receipt)) => receipt,
            (None, None) => panic!("no receipt in {} {:?} {:?}", self.status, self.headers, self.text()),
            (Some(_), Some(_)) => panic!("a receipt in both dialects: {:?}", self.headers),
        }
    }

    /// The code that an error body carries.
    #[must_use]
    #[track_caller]
    pub fn code(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}

/// A connection, for tests that care where it is cut or what shares it.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
    /// Interim statuses that were passed over.
    interim: Vec<u16>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&to, CONNECT_LIMIT)?;
        stream.set_read_timeout(Some(READ_LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream), interim: Vec::new() })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Says that nothing more is sent.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn end(&mut self) -> io::Result<()> {
        self.reader.get_mut().shutdown(Shutdown::Write)
    }

    /// Reads a response whole. `head`: it answers a `HEAD`.
    ///
    /// # Errors
    /// The connection ended before the response did.
    pub fn response(&mut self, head: bool) -> io::Result<Response> {
        let mut response = self.response_head()?;
        let chunked = response.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
        let length = response.header("content-length").map(|length| length.parse().expect("a length"));
        if head || matches!(response.status, 204 | 304) {
            return Ok(response);
        }
        match (chunked, length) {
            (true, _) => while self.chunk(&mut response.body)? {},
            (false, Some(length)) => {
                response.body = vec![0; length];
                self.reader.read_exact(&mut response.body)?;
            }
            (false, None) => drop(self.reader.read_to_end(&mut response.body)?),
        }
        Ok(response)
    }

    /// Reads a response whole, and the statuses of the interim ones before it.
    ///
    /// # Errors
    /// The connection ended before the response did.
    pub fn with_interim(&mut self) -> io::Result<(Vec<u16>, Response)> {
        self.interim.clear();
        let response = self.response(false)?;
        Ok((std::mem::take(&mut self.interim), response))
    }

    /// Reads the head of a response, and leaves its body unread.
    ///
    /// # Errors
    /// The connection ended before the head did.
    pub fn response_head(&mut self) -> io::Result<Response> {
        loop {
            let status_line = self.line()?;
            let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
            let status = status.ok_or_else(|| unreadable(&status_line))?;
            let mut headers = Vec::new();
            loop {
                let line = self.line()?;
                if line.is_empty() {
                    break;
                }
                let (name, value) = line.split_once(':').ok_or_else(|| unreadable(&line))?;
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            if status >= 200 {
                return Ok(Response { status, headers, body: Vec::new() });
            }
            self.interim.push(status);
        }
    }

    /// Reads one chunk of a chunked body; `false` after the last.
    ///
    /// # Errors
    /// The connection ended before the body did.
    pub fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let line = self.line()?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
        let size = size.map_err(|_| unreadable(&line))?;
        let before = body.len();
        body.resize(before + size, 0);
        self.reader.read_exact(&mut body[before..])?;
        if size == 0 {
            while !self.line()?.is_empty() {} // trailers
            return Ok(false);
        }
        self.line()?;
        Ok(true)
    }

    /// Everything that still comes until the other end closes, or resets.
    #[must_use]
    pub fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.reader.read_to_end(&mut rest); // a reset ends it as well
        rest
    }

    /// Everything that comes within a while. Unlike [`end`](Self::end), waiting tells the other end nothing.
    #[must_use]
    pub fn rest_within(self, limit: Duration) -> Vec<u8> {
        let _ = self.reader.get_ref().set_read_timeout(Some(limit)); // else the usual limit holds
        self.rest()
    }

    /// Whether nothing comes within a while.
    #[must_use]
    pub fn is_silent(&self, limit: Duration) -> bool {
        let stream = self.reader.get_ref();
        let _ = stream.set_read_timeout(Some(limit)); // else the usual limit holds
        let read = stream.peek(&mut [0]);
        let _ = stream.set_read_timeout(Some(READ_LIMIT)); // else a test gives up sooner
        let waited =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
        self.reader.buffer().is_empty() && read.as_ref().is_err_and(waited)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(line.iter().copied().map(char::from).collect()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn unreadable(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {line:?}"))
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Longer than anything the server may take: it waits for a settlement, then for evidence of it.
const READ_LIMIT: Duration = Duration::from_secs(120);
