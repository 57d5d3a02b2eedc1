//! Text for JSON and URLs that is plain ASCII whatever goes in.

use std::{borrow::Cow, fmt::Write as _};

use serde::Serialize;

/// Compact JSON in which everything beyond ASCII is escaped: some version 1 clients read Latin-1.
pub(super) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("messages of the protocol are JSON");
    if text.is_ascii() {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() * 2);
    for character in text.chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("a string takes any text");
            }
        }
    }
    escaped
}

/// What stands between the quotes of a JSON string; codes need no escaping and are borrowed.
pub(super) fn inner(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\') {
        return Cow::Borrowed(text);
    }
    let quoted = json(&text);
    Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
}

/// A path as a URL has it: bytes that are not legal there are percent-encoded. What is escaped stays as it is.
pub(super) fn url_path(path: &str) -> Cow<'_, str> {
    if path.bytes().all(is_legal) {
        return Cow::Borrowed(path);
    }
    let mut encoded = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        if is_legal(byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes any text");
        }
    }
    Cow::Owned(encoded)
}

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_ascii_and_means_the_same() {
        let text = "USD₮0 \"😀\" \n";
        let escaped = json(&text);
        assert!(escaped.is_ascii());
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), text);
        assert_eq!(serde_json::from_str::<String>(&format!("\"{}\"", inner(text))).unwrap(), text);
        assert!(matches!(inner("invalid_payload"), Cow::Borrowed(_)));
    }

    #[test]
    fn urls_hold_nothing_illegal() {
        assert_eq!(url_path("/a/b%20c;d"), "/a/b%20c;d");
        assert_eq!(url_path("/é \"<{|}>^`"), "/%C3%A9%20%22%3C%7B%7C%7D%3E%5E%60");
    }
}
