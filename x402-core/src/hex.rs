//! Bytes as lower-case hexadecimal text in documents: `#[serde(with = "hex")]`.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(crate) fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text(bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[u8; N], D::Error> {
    let text = std::borrow::Cow::<'_, str>::deserialize(from)?;
    parse(&text).ok_or_else(|| D::Error::custom(format_args!("wanted {} hexadecimal digits", 2 * N)))
}

/// The same where there may be none.
pub(crate) mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer, const N: usize>(
        bytes: &Option<[u8; N]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| super::text(bytes)).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        from: D,
    ) -> Result<Option<[u8; N]>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let bytes = super::parse(&text);
        bytes.map(Some).ok_or_else(|| D::Error::custom(format_args!("wanted {} hexadecimal digits", 2 * N)))
    }
}

fn text(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Exactly `N` bytes in lower case.
pub(crate) fn parse<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_text() {
        assert_eq!(text(&[0, 0x9a, 0xff]), "009aff");
        assert_eq!(parse("009aff"), Some([0, 0x9a, 0xff]));
        for other in ["009AFF", "009af", "009aff0", "0x9aff", "00 aff", "00éff"] {
            assert_eq!(parse::<3>(other), None, "{other}");
        }
    }
    #[derive(Debug, Deserialize, PartialEq, serde::Serialize)]
    struct Document {
        #[serde(with = "super")]
        name: [u8; 2],
        #[serde(default, skip_serializing_if = "Option::is_none", with = "super::optional")]
        digest: Option<[u8; 3]>,
    }

    #[test]
    fn documents_have_text_or_nothing() {
        for (document, json) in [
            (Document { name: [0, 0x9a], digest: None }, r#"{"name":"009a"}"#),
            (Document { name: [255; 2], digest: Some([1; 3]) }, r#"{"name":"ffff","digest":"010101"}"#),
        ] {
            assert_eq!(serde_json::to_string(&document).unwrap(), json);
            assert_eq!(serde_json::from_str::<Document>(json).unwrap(), document);
        }
        for (json, read) in [
            (r#"{"name":"\u0030\u0030ff","digest":null}"#, true),
            (r#"{"name":"00FF"}"#, false),
            (r#"{"name":"00"}"#, false),
            (r#"{"name":255}"#, false),
            (r#"{"name":"00ff","digest":""}"#, false),
            (r#"{"name":"00ff","digest":"0101"}"#, false),
        ] {
            assert_eq!(serde_json::from_str::<Document>(json).is_ok(), read, "{json}");
        }
    }
}
