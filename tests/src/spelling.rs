//! Other spellings of paths, and paths made of what spellings are made of.

use std::fmt::Write as _;

use proptest::{prelude::*, sample};

/// Methods that servers know, and some they do not.
pub fn method() -> impl Strategy<Value = &'static str> {
    sample::select(vec!["GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "PUT", "get", "PROPFIND"])
}

/// A request target that some reader may take for one of `paths`, which have no slash in front: slashes, dots and
/// escapes added, letters escaped once or twice, in the other case.
pub fn spelling(paths: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let front = sample::select(vec!["", "", "", "", "http://shop.test", "//shop.test"]);
    let slash = sample::select(FRONTS.to_vec());
    let tail = sample::select(TAILS.to_vec());
    (front, slash, sample::select(paths), any::<u64>(), tail).prop_map(|(front, slash, path, dice, tail)| {
        let mut text = format!("{front}{slash}");
        for (at, letter) in path.chars().enumerate() {
            let code = u32::from(letter);
            let written = match dice >> (at * 5 % 60) & 31 {
                0 => write!(text, "%{code:02x}"),
                1 => write!(text, "%{code:02X}"),
                2 => write!(text, "%25{code:02x}"),
                3 => write!(text, "{}", letter.to_ascii_uppercase()),
                4 if letter == '/' => write!(text, "//"),
                _ => write!(text, "{letter}"),
            };
            written.expect("text takes any text");
        }
        (text + tail).into_bytes()
    })
}

/// Bytes, some of them close to one of `paths`; never a line break, which would be another request.
pub fn noise(paths: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let inserted = (sample::select(paths), any::<sample::Index>(), any::<[u8; 2]>(), 0..3_usize);
    let close = inserted.prop_map(|(path, at, bytes, count)| {
        let mut target = [b"/", path.as_bytes()].concat();
        let at = at.index(target.len() + 1);
        target.splice(at..at, bytes[..count].iter().copied());
        target
    });
    let any_byte = prop::collection::vec(any::<u8>(), 0..40);
    let meaningful = prop::collection::vec(sample::select(b"/.%2eE fcatxs;\\?#:@".to_vec()), 0..20);
    prop_oneof![any_byte, meaningful, close]
        .prop_filter("one line", |target| !target.iter().any(|byte| b"\r\n".contains(byte)))
}

const FRONTS: [&str; 15] = [
    "/",
    "/",
    "/",
    "//",
    "/./",
    "/../",
    "/%2e/",
    "%2f",
    "%2F",
    "\\",
    "%5c",
    "/;/",
    "/x/../",
    "/free/../",
    "/files/",
];
const TAILS: [&str; 19] = [
    "", "", "", "/", "//", "/.", ";a=b", "?", "?a=/free", "#", "%00", "%20", ".", "%", "/..", "%2e",
    "/%2e%2e", "\u{e9}", "%ff",
];
