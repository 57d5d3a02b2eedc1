//! The public origin: configuration, never the `Host` header.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Checks an origin and gives it in its canonical form, or says what is wrong with it.
pub(super) fn check(origin: &str) -> Result<String, String> {
    let wanted = "write the public origin alone, such as `https://api.example.com`";
    let (secure, rest) = match (origin.strip_prefix("https://"), origin.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(format!("`{origin}` does not start with `https://`; {wanted}")),
    };
    if rest.contains(['/', '?', '#', '@', '\\']) {
        return Err(format!("`{origin}` has a path, a query or a user; {wanted}"));
    }
    let (host, port) = split_port(rest);
    let host = host.to_ascii_lowercase();
    if !is_host(&host) || port.is_some_and(|port| !is_port(port)) {
        return Err(format!("`{origin}` does not name a host; {wanted}"));
    }
    if !secure && !is_loopback(&host) {
        return Err(format!(
            "`{origin}` is not encrypted; `http` is for loopback addresses only, write `https`"
        ));
    }
    let scheme = if secure { "https" } else { "http" };
    Ok(match port {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => {
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        _ => (authority, None),
    }
}

fn is_port(port: &str) -> bool {
    !port.starts_with(['0', '+']) && port.parse::<u16>().is_ok()
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let label_is_plain = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.split('.').all(label_is_plain)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "[::1]"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_alone() {
        for (origin, canonical) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://API.Example.com:8443", "https://api.example.com:8443"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("http://localhost", "http://localhost"),
            ("http://[::1]:80", "http://[::1]:80"),
        ] {
            assert_eq!(check(origin).as_deref(), Ok(canonical));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for origin in [
            "",
            "api.example.com",
            "ftp://a.example",
            "https://",
            "https://a.example/",
            "https://a.example/x",
            "https://a.example?x",
            "https://a.example#x",
            "https://user@a.example",
            "https://a..example",
            "https://a.example:0",
            "https://a.example:99999",
            "https://a.example:",
            "https://a example",
            "http://a.example",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
            "https://bücher.example",
            "https://[::1",
            "https://a.example\\x",
            "HTTPS://a.example",
            "https://*.example.com",
        ] {
            assert!(check(origin).is_err(), "{origin:?}");
        }
    }
}
