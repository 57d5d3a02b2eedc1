use std::borrow::Cow;

use x402_core::price::Prices;

/// The table of the target `path`: priced and free patterns within each other.
#[must_use]
pub fn prices() -> Prices {
    let mut prices = Prices::new("https://api.example.com")
        .pay_to("eip155:84532", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC");
    for (pattern, priced) in TABLE {
        prices = if priced { prices.charge(pattern, "$0.001") } else { prices.free(pattern) };
    }
    prices.build().expect("the table has no mistakes")
}

/// What a naive router makes of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The best pattern costs something, or the path does by another method.
    Priced,
    /// It costs nothing.
    Free,
}

/// What naive routers make of a request: priced if any way to read its path leads to a pattern that costs something.
#[must_use]
pub fn verdict(method: &str, path: &str) -> Verdict {
    let priced = readings(path).iter().any(|reading| is_priced(method, reading));
    if priced { Verdict::Priced } else { Verdict::Free }
}

/// Patterns one by one, no tree: of those that fit, the most specific decides.
fn is_priced(method: &str, path: &str) -> bool {
    let best = |wanted: &dyn Fn(&str) -> bool| {
        let fitting = TABLE.iter().filter_map(|(pattern, priced)| {
            let (methods, pattern) = pattern.split_once(' ').expect("a pattern has a method");
            wanted(methods).then(|| fit(pattern, path)).flatten().map(|rank| (rank, *priced))
        });
        fitting.min_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, priced)| priced)
    };
    let own = best(&|methods| {
        let lists = |method| methods.split(',').any(|listed| listed == method);
        lists(method)
            || methods == "*" && EVERY.contains(&method)
            || method == "HEAD" && (lists("GET") || methods == "*")
    });
    match own {
        Some(priced) => priced,
        None => TABLE.iter().any(|(pattern, priced)| {
            *priced && fit(pattern.split_once(' ').expect("a pattern has a method").1, path).is_some()
        }),
    }
}

/// How a pattern fits a path, segment by segment: 0 for text, 1 for a parameter, 2 for a wildcard.
fn fit(pattern: &str, path: &str) -> Option<Vec<u8>> {
    let mut rank = Vec::new();
    let (mut wanted, mut rest) = (pattern[1..].split('/'), Some(path.strip_prefix('/')?));
    loop {
        match (wanted.next(), rest) {
            (None, None) => return Some(rank),
            (Some(wildcard), Some(rest)) if wildcard.starts_with("{*") => {
                rank.push(2);
                return (!rest.is_empty()).then_some(rank);
            }
            (Some(segment), Some(text)) => {
                let (head, tail) = match text.split_once('/') {
                    Some((head, tail)) => (head, Some(tail)),
                    None => (text, None),
                };
                match segment.starts_with('{') {
                    true if !head.is_empty() => rank.push(1),
                    false if segment == head => rank.push(0),
                    _ => return None,
                }
                rest = tail;
            }
            _ => return None,
        }
    }
}

/// The path as it is, decoded, with repeated slashes collapsed, without its last slash, with its dot segments resolved,
/// and any of these in a row.
fn readings(path: &str) -> Vec<String> {
    let changes: [fn(&str) -> String; 4] = [decode, collapse, trim, resolve];
    let mut readings = vec![path.to_owned()];
    for change in changes {
        let changed: Vec<_> = readings.iter().map(|reading| change(reading)).collect();
        readings.extend(changed);
    }
    readings.retain(|reading| reading.starts_with('/'));
    readings
}

fn decode(path: &str) -> String {
    let mut decoded = Vec::new();
    let mut bytes = path.as_bytes();
    while let [byte, rest @ ..] = bytes {
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let value = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match value.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) if *byte == b'%' => {
                decoded.push(value);
                bytes = &rest[2..];
            }
            _ => {
                decoded.push(*byte);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn collapse(path: &str) -> String {
    let mut path = Cow::Borrowed(path);
    while path.contains("//") {
        path = Cow::Owned(path.replace("//", "/"));
    }
    path.into_owned()
}

fn trim(path: &str) -> String {
    path.strip_suffix('/').filter(|trimmed| !trimmed.is_empty()).unwrap_or(path).to_owned()
}

fn resolve(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

const TABLE: [(&str, bool); 12] = [
    ("GET /weather/{city}", true),
    ("GET /weather/today", false),
    ("* /files/{*rest}", true),
    ("GET /files/public/{*rest}", false),
    ("GET,POST /render", true),
    ("DELETE /render", false),
    ("GET /a/b", true),
    ("GET /a/{x}", false),
    ("GET /a/{x}/c", true),
    ("PUT /a/b/c", true),
    ("GET /open/{*rest}", false),
    ("OPTIONS /open/door", true),
];
const EVERY: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
