//! `"GET /weather/{city}"`: methods and segments.

use std::sync::Arc;

/// A route as it was written.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    pub(super) label: Arc<str>,
    pub(super) methods: Vec<Arc<str>>,
    pub(super) segments: Box<[Segment]>,
}

/// A part of a path between slashes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Segment {
    /// This text. Empty only at the end, behind a last slash.
    Literal(Box<str>),
    /// Any one segment that is not empty.
    Param(Box<str>),
    /// All the rest, if it is not empty.
    Wildcard(Box<str>),
}

impl Pattern {
    /// Reads a pattern, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((methods, path)) = text.trim().split_once(' ') else {
            return Err("it names no method; write `GET /path`, `GET,POST /path` or `* /path`".to_owned());
        };
        let path = path.trim_start();
        let methods = parse_methods(methods)?;
        let Some(rest) = path.strip_prefix('/') else {
            return Err(format!("its path `{path}` does not start with `/`"));
        };
        let parts: Vec<&str> = rest.split('/').collect();
        let last = parts.len() - 1;
        let mut segments = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let segment = parse_segment(part, index == last)?;
            let named = |known: &Segment| name(known).is_some() && name(known) == name(&segment);
            if segments.iter().any(named) {
                return Err(format!("it has two parameters called `{part}`"));
            }
            segments.push(segment);
        }
        Ok(Self { label: text.trim().into(), methods, segments: segments.into() })
    }
}

fn name(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Literal(_) => None,
        Segment::Param(name) | Segment::Wildcard(name) => Some(name),
    }
}

fn parse_methods(text: &str) -> Result<Vec<Arc<str>>, String> {
    if text == "*" {
        return Ok(ALL_METHODS.into_iter().map(Arc::from).collect());
    }
    let mut methods: Vec<Arc<str>> = Vec::new();
    for method in text.split(',') {
        let plain = method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_');
        if method.is_empty() || !plain {
            return Err(format!(
                "`{method}` is not a method; write them in capitals, as in `GET,POST /path`"
            ));
        }
        if methods.iter().any(|known| **known == *method) {
            return Err(format!("it names `{method}` twice"));
        }
        methods.push(method.into());
    }
    Ok(methods)
}

fn parse_segment(part: &str, last: bool) -> Result<Segment, String> {
    if let Some(name) = part.strip_prefix("{*").and_then(|part| part.strip_suffix('}')) {
        if !last {
            return Err(format!("the wildcard `{part}` is not at its end"));
        }
        return Ok(Segment::Wildcard(parse_name(name)?));
    }
    if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        return Ok(Segment::Param(parse_name(name)?));
    }
    if part.contains(['{', '}', '*']) {
        return Err(format!(
            "in `{part}` a parameter is not a whole segment; write `{{name}}` or `{{*name}}`"
        ));
    }
    if part.contains('%') || !part.is_ascii() {
        return Err(format!(
            "`{part}` needs percent-encoding, which routers read differently; use a parameter"
        ));
    }
    if part.is_empty() && !last {
        return Err("it has an empty segment".to_owned());
    }
    if matches!(part, "." | "..") || part.starts_with(".;") || part.starts_with("..;") {
        return Err("it has a dot segment".to_owned());
    }
    match part.bytes().find(|byte| !byte.is_ascii_alphanumeric() && !LITERAL.contains(byte)) {
        Some(byte) => Err(format!("`{}` cannot stand in a path", char::from(byte).escape_default())),
        None => Ok(Segment::Literal(part.into())),
    }
}

fn parse_name(name: &str) -> Result<Box<str>, String> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() || !plain {
        return Err(format!("`{name}` is not a name of a parameter"));
    }
    Ok(name.into())
}

/// What `*` stands for. `HEAD` comes with `GET`, `OPTIONS` is answered without payment.
const ALL_METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const LITERAL: &[u8] = b"-._~!$&'()+,;=:@";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read() {
        let pattern = Pattern::parse("GET,POST /a/{b}/{*c}").unwrap();
        assert_eq!(pattern.methods, ["GET".into(), "POST".into()]);
        let wanted =
            [Segment::Literal("a".into()), Segment::Param("b".into()), Segment::Wildcard("c".into())];
        assert_eq!(*pattern.segments, wanted);
        assert_eq!(Pattern::parse("* /").unwrap().methods.len(), 5);
        assert_eq!(
            *Pattern::parse("GET /a/").unwrap().segments,
            [Segment::Literal("a".into()), Segment::Literal("".into())]
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, hint) in [
            ("/a", "names no method"),
            ("", "names no method"),
            ("get /a", "in capitals"),
            ("GET, POST /a", "not a method"),
            ("GET,GET /a", "twice"),
            ("GET a", "start with `/`"),
            ("GET /a//b", "empty segment"),
            ("GET /a/../b", "dot segment"),
            ("GET /a/{*b}/c", "not at its end"),
            ("GET /a{b}", "whole segment"),
            ("GET /a/*", "whole segment"),
            ("GET /{b", "whole segment"),
            ("GET /{}", "name of a parameter"),
            ("GET /{a}/{a}", "two parameters"),
            ("GET /caf%C3%A9", "percent-encoding"),
            ("GET /café", "percent-encoding"),
            ("GET /a b", "cannot stand"),
            ("GET /a?b", "cannot stand"),
            ("GET /a\\b", "cannot stand"),
        ] {
            let problem = Pattern::parse(text).unwrap_err();
            assert!(problem.contains(hint), "{text}: {problem}");
        }
    }
}
