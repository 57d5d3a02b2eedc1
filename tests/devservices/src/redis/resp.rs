//! As much of Redis's protocol as a test needs.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// An answer as text: numbers in digits, nothing as the empty text, lists with an element per line.
pub(super) type Answer = Result<String, String>;

/// Sends commands over a connection of their own and gives the last answer; `Err` inside is the server's error.
pub(super) fn call(port: u16, commands: &[&[&str]]) -> io::Result<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut answer = Ok(String::new());
    for command in commands {
        stream.write_all(&encode(command))?;
        answer = decode(&mut reader)?;
        if answer.is_err() {
            break;
        }
    }
    Ok(answer)
}

fn encode(command: &[&str]) -> Vec<u8> {
    let words = command.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    [format!("*{}\r\n", command.len())].into_iter().chain(words).collect::<String>().into_bytes()
}

fn decode(reader: &mut impl BufRead) -> io::Result<Answer> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end_matches(['\r', '\n']);
    let (kind, rest) = line.split_at_checked(1).ok_or(io::ErrorKind::UnexpectedEof)?;
    match kind {
        "+" | ":" => Ok(Ok(rest.to_owned())),
        "-" => Ok(Err(rest.to_owned())),
        "$" => match length(rest)? {
            Some(length) => bulk(reader, length).map(Ok),
            None => Ok(Ok(String::new())),
        },
        "*" => {
            let items: Result<Vec<_>, _> =
                (0..length(rest)?.unwrap_or(0)).map(|_| decode(reader)).collect::<io::Result<_>>()?;
            Ok(items.map(|items: Vec<String>| items.join("\n")))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, format!("no answer of Redis: {line}"))),
    }
}

/// `-1` stands for nothing.
fn length(text: &str) -> io::Result<Option<usize>> {
    match text {
        "-1" => Ok(None),
        _ => text.parse().map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

fn bulk(reader: &mut impl Read, length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length + 2];
    reader.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn answers_become_text() {
        let cases = [
            ("+OK\r\n", Ok("OK")),
            (":42\r\n", Ok("42")),
            ("-ERR no\r\n", Err("ERR no")),
            ("$5\r\na\r\nbc\r\n", Ok("a\r\nbc")),
            ("$-1\r\n", Ok("")),
            ("*2\r\n$1\r\na\r\n:1\r\n", Ok("a\n1")),
            ("*-1\r\n", Ok("")),
        ];
        for (bytes, wanted) in cases {
            let answer = decode(&mut bytes.as_bytes()).unwrap();
            assert_eq!(answer.as_deref().map_err(String::as_str), wanted, "{bytes:?}");
        }
        for bytes in ["", "$5\r\nab", "?\r\n", "$x\r\n"] {
            assert!(decode(&mut bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        assert_eq!(encode(&["GET", "a b"]), b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n");
    }
}
