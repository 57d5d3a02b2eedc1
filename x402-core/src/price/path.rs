//! The path guard: refuses paths that routers read in more than one way.

use std::borrow::Cow;

/// Whether a path is spelled in the one way that every router reads alike: letters, digits and a few marks in segments
/// that are not empty and do not begin with a dot. Most paths are, and one pass over them says so.
pub(super) fn is_plain(path: &str) -> bool {
    let Some((b'/', rest)) = path.as_bytes().split_first() else { return false };
    let mut before = b'/';
    for &byte in rest {
        match MARKS[usize::from(byte)] {
            Mark::Plain => {}
            Mark::Separator if before != b'/' => {}
            _ => return false,
        }
        before = byte;
    }
    before != b'/' || rest.is_empty()
}

/// Whether a path can be read in more than one way: it does not start with a slash, or has dot segments, a
/// backslash or a NUL (plain or percent-encoded), an encoded slash, a broken escape, or bytes that are not
/// UTF-8 once decoded.
///
/// Such a path is never resolved to find a rule: it is refused wherever a paywall is mounted. Allocates nothing.
#[must_use]
pub fn is_ambiguous(path: &str) -> bool {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return true;
    }
    let mut segment = Segment::default();
    let mut utf8 = Utf8::default();
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte == b'/' {
            if segment.is_dots() || !utf8.is_complete() {
                return true;
            }
            segment = Segment::default();
            continue;
        }
        let decoded = match byte {
            b'%' => match escape(bytes, at) {
                Some(b'/') | None => return true,
                Some(decoded) => {
                    at += 2;
                    decoded
                }
            },
            plain => plain,
        };
        if decoded == b'\\' || decoded == 0 || !utf8.push(decoded) {
            return true;
        }
        segment.push(decoded);
    }
    segment.is_dots() || !utf8.is_complete()
}

/// Percent-decodes what [`is_ambiguous`] let through.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    decode_except(text, b"")
}

/// Percent-decodes all but these characters.
fn decode_except<'a>(text: &'a str, kept: &[u8]) -> Cow<'a, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match (byte, escape(bytes, at)) {
            (b'%', Some(value)) if !kept.contains(&value) => {
                decoded.push(value);
                at += 2;
            }
            (plain, _) => decoded.push(plain),
        }
    }
    Cow::Owned(
        String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into()),
    )
}

/// The readings that a router, or what stands in front of it, may take of a path instead of its own spelling: escapes
/// decoded (all, or all but those of `%` and `+`), repeated slashes collapsed (everywhere, or at the start), the last
/// slashes dropped, and any of these together. Empty for ordinary paths.
///
/// [`is_ambiguous`] let no encoded slash through, so none of these changes makes another possible.
pub(super) fn readings(path: &str) -> Vec<String> {
    let (escaped, repeated) = (path.contains('%'), path.contains("//"));
    let trailing = path.len() > 1 && path.ends_with('/');
    if !escaped && !repeated && !trailing {
        return Vec::new();
    }
    let mut readings = vec![path.to_owned()];
    if escaped {
        add(
            &mut readings,
            &[&|path| decode(path).into_owned(), &|path| decode_except(path, b"%+").into_owned()],
        );
    }
    if repeated {
        add(&mut readings, &[&collapse, &|path| format!("/{}", path.trim_start_matches('/'))]);
    }
    if trailing {
        add(&mut readings, &[&|path| path[..path.trim_end_matches('/').len().max(1)].to_owned()]);
    }
    readings.remove(0);
    readings
}

/// Adds what each of these changes makes of each path so far.
fn add(readings: &mut Vec<String>, changes: &[&dyn Fn(&str) -> String]) {
    for known in 0..readings.len() {
        for change in changes {
            let changed = change(&readings[known]);
            if !readings.contains(&changed) {
                readings.push(changed);
            }
        }
    }
}

fn collapse(path: &str) -> String {
    let mut collapsed = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !collapsed.ends_with('/') {
            collapsed.push(character);
        }
    }
    collapsed
}

fn escape(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |index: usize| char::from(*bytes.get(index)?).to_digit(16);
    u8::try_from(digit(at)? << 4 | digit(at + 1)?).ok()
}

/// Whether a segment is made of nothing but one or two dots. What stands behind a `;` does not count: some
/// servers drop it before they resolve dots.
#[derive(Default)]
struct Segment {
    dots: u8,
    other: bool,
    parameters: bool,
}

impl Segment {
    fn push(&mut self, byte: u8) {
        match byte {
            _ if self.parameters => {}
            b';' => self.parameters = true,
            b'.' => self.dots = self.dots.saturating_add(1),
            _ => self.other = true,
        }
    }

    fn is_dots(&self) -> bool {
        !self.other && (1..=2).contains(&self.dots)
    }
}

/// Checks UTF-8 byte by byte, holding no more than one character.
#[derive(Default)]
struct Utf8 {
    character: [u8; 4],
    have: usize,
    wanted: usize,
}

impl Utf8 {
    fn push(&mut self, byte: u8) -> bool {
        if self.wanted == 0 {
            self.wanted = match byte {
                0x00..=0x7f => return true,
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => return false,
            };
            self.have = 0;
        }
        self.character[self.have] = byte;
        self.have += 1;
        if self.have < self.wanted {
            return true;
        }
        let character = &self.character[..self.wanted];
        self.wanted = 0;
        std::str::from_utf8(character).is_ok()
    }

    fn is_complete(&self) -> bool {
        self.wanted == 0
    }
}

/// What a byte may do to the readings of a path.
#[derive(Clone, Copy)]
enum Mark {
    /// Nothing.
    Plain,
    /// Nothing, but at the start of a segment: a slash or a dot.
    Separator,
    /// Something.
    Odd,
}

const MARKS: [Mark; 256] = {
    let mut marks = [Mark::Odd; 256];
    let mut byte = 0;
    while byte < 128 {
        marks[byte] = match byte as u8 {
            b'/' | b'.' => Mark::Separator,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => Mark::Plain,
            b'-' | b'_' | b'~' | b':' | b'@' | b',' | b'+' | b'=' => Mark::Plain,
            _ => Mark::Odd,
        };
        byte += 1;
    }
    marks
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in [
            "/",
            "/a",
            "/a/b/",
            "//",
            "/a//b",
            "/New%20York",
            "/caf%C3%A9",
            "/café",
            "/a.b",
            "/...",
            "/.well-known",
            "/a..b",
            "/%E2%82%AC",
            "/100%25",
            "/a;b=c",
            "/%7Bx%7D",
            "/a%3Bb",
            "/..a;b",
            "/%F0%9F%98%80",
        ] {
            assert!(!is_ambiguous(path), "{path}");
        }
    }

    #[test]
    fn paths_with_two_readings_are_refused() {
        for path in [
            "",
            "*",
            "a",
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/a/..",
            "/%2e",
            "/%2E%2e/a",
            "/.%2e",
            "/%2e.",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a%5Cb",
            "/a\\b",
            "/a%00",
            "/a\0b",
            "/%",
            "/%4",
            "/%zz",
            "/a%2",
            "/%C3",
            "/%C3/%A9",
            "/%C3x",
            "/%FF",
            "/%80",
            "/%ED%A0%80",
            "/%C0%AF",
            "/..;/a",
            "/a/..;x=y",
            "/%2e%2e%3bx/a",
            "/é%80",
            "/%E2%82",
            "/%F5%80%80%80",
            "/%+1",
        ] {
            assert!(is_ambiguous(path), "{path:?}");
        }
    }

    #[test]
    fn ordinary_paths_are_plain() {
        for path in ["/", "/a", "/a/b", "/A-b_c~1/x.html", "/a..b", "/@a:b,c+d=e"] {
            assert!(is_plain(path), "{path}");
        }
        for path in
            ["", "a", "/a/", "//", "/a//b", "/.a", "/a/.", "/%61", "/é", "/a;b", "/a\\b", "/a b", "/*"]
        {
            assert!(!is_plain(path), "{path}");
        }
    }

    #[test]
    fn readings_are_all_that_a_router_may_take() {
        assert!(readings("/a/b.html").is_empty());
        assert!(readings("/").is_empty());
        assert_eq!(readings("/a/"), ["/a"]);
        assert_eq!(readings("//"), ["/"]);
        assert_eq!(readings("/%61//b"), ["/a//b", "/%61/b", "/a/b"]);
        assert_eq!(readings("/%61%2B"), ["/a+", "/a%2B"]);
        assert_eq!(readings("//a//b/"), ["/a/b/", "/a//b/", "//a//b", "/a/b", "/a//b"]);
    }

    proptest! {
        #[test]
        fn plain_paths_have_one_reading(path in "(/[-.;a%\\\\é ]{0,3}){0,4}") {
            if is_plain(&path) {
                prop_assert!(!is_ambiguous(&path));
                prop_assert!(readings(&path).is_empty());
            }
        }

        #[test]
        fn what_passes_decodes_to_text_without_separators(path in "(/([-.;a%\\\\é]|%2[eEfF]|%5[cC]|%c3|%a9|%00){0,4}){1,4}") {
            if !is_ambiguous(&path) {
                let decoded = decode(&path);
                prop_assert_eq!(decoded.matches('/').count(), path.matches('/').count());
                let clean = !decoded.contains(['\\', '\0', '\u{fffd}']);
                prop_assert!(clean);
                for segment in decoded.split('/') {
                    let bare = segment.split(';').next().unwrap_or_default();
                    prop_assert!(bare != "." && bare != "..");
                }
            }
        }
    }
}
