//! A message with holes, as plain text or in base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;

use crate::quote::{QUOTE_TEXT, SEAL_TEXT};

/// A part of a message before it is encoded.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// The same in every response.
    Text(String),
    /// Why payment is asked for, a JSON string.
    Error,
    /// The resource's URL, a JSON string. What stands before the path becomes part of the text before it.
    Url,
    /// The rest of the resource's URL.
    Path,
    /// The quote of the way to pay with this index, a JSON object.
    Quote(usize),
    /// The member that names the payer, if one is known.
    Payer,
}

impl Piece {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What fills the holes. Texts are ready to stand between the quotes of a JSON string.
pub(super) struct Holes<'a> {
    pub(super) error: &'a str,
    pub(super) path: &'a str,
    pub(super) payer: Option<&'a str>,
    pub(super) quote: &'a SealedQuote,
}

/// A quote's text, and how it ends for each way to pay.
pub(super) struct SealedQuote {
    pub(super) text: [u8; QUOTE_TEXT],
    pub(super) seals: [[u8; SEAL_TEXT]; super::ChallengeTemplate::MAX_OPTIONS],
}

/// A message prepared for one of the two encodings.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pieces: Box<[Piece]>,
    /// The length of all texts.
    texts: usize,
    /// How many holes of each kind there are.
    errors: usize,
    paths: usize,
    quotes: usize,
    payers: usize,
}

impl Message {
    /// For plain text.
    pub(super) fn plain(origin: &str, pieces: Vec<Piece>) -> Self {
        Self::new(origin, pieces, |_| 0)
    }

    /// For base64: the texts are encoded now. White space before a hole makes each a multiple of three bytes.
    pub(super) fn base64(origin: &str, pieces: Vec<Piece>) -> Self {
        let mut message = Self::new(origin, pieces, padding);
        message.texts = 0;
        for piece in &mut message.pieces {
            if let Piece::Text(text) = piece {
                *text = STANDARD.encode(&*text);
                message.texts += text.len();
            }
        }
        message
    }

    /// Neighbouring texts become one; the text before a hole is followed by as much white space as `padding` tells for
    /// its length.
    fn new(origin: &str, pieces: Vec<Piece>, padding: impl Fn(usize) -> usize) -> Self {
        let mut merged: Vec<Piece> = Vec::with_capacity(pieces.len());
        let mut text = String::new();
        for piece in pieces {
            let (begin, hole) = match piece {
                Piece::Text(more) => {
                    text.push_str(&more);
                    continue;
                }
                // A URL has no white space, so it stands before.
                Piece::Url => (["\"", origin].concat(), Piece::Path),
                hole => (String::new(), hole),
            };
            text.extend(std::iter::repeat_n(' ', padding(text.len() + begin.len())));
            merged.extend([Piece::Text(std::mem::take(&mut text) + &begin), hole]);
        }
        merged.push(Piece::Text(text));
        let count = |kind: fn(&Piece) -> usize| merged.iter().map(kind).sum();
        Self {
            texts: count(|piece| if let Piece::Text(text) = piece { text.len() } else { 0 }),
            errors: count(|piece| usize::from(matches!(piece, Piece::Error))),
            paths: count(|piece| usize::from(matches!(piece, Piece::Path))),
            quotes: count(|piece| usize::from(matches!(piece, Piece::Quote(_)))),
            payers: count(|piece| usize::from(matches!(piece, Piece::Payer))),
            pieces: merged.into(),
        }
    }

    pub(super) fn render_plain(&self, holes: &Holes<'_>) -> Bytes {
        let path = holes.path.len() + 1;
        let payer = holes.payer.map_or(0, |payer| payer.len() + PAYER.len() + 1);
        let length = self.len(holes.error.len() + 2, path, QUOTE, payer);
        let mut out = Vec::with_capacity(length);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Error => extend(&mut out, &["\"", holes.error, "\""]),
                Piece::Url | Piece::Path => extend(&mut out, &[holes.path, "\""]),
                Piece::Payer => {
                    if let Some(payer) = holes.payer {
                        extend(&mut out, &[PAYER, payer, "\""]);
                    }
                }
                Piece::Quote(option) => {
                    out.extend_from_slice(&holes.quote.text);
                    out.extend_from_slice(&holes.quote.seals[*option]);
                    out.extend_from_slice(QUOTE_END);
                }
            }
        }
        debug_assert_eq!(out.len(), length, "a body of exact size is not copied again");
        Bytes::from(out)
    }

    pub(super) fn render_base64(&self, holes: &Holes<'_>) -> Bytes {
        let length = self.base64_len(holes.error.len(), holes.path.len());
        let mut out = Encoder { out: Vec::with_capacity(length), staged: [0; STAGE], held: 0 };
        let mut shared = None;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.out.extend_from_slice(text.as_bytes()),
                Piece::Error if holes.error == UNPAID => out.out.extend_from_slice(UNPAID_BASE64),
                Piece::Error => out.put(&["\"", holes.error, "\""]),
                Piece::Url | Piece::Path => out.put(&[holes.path, "\""]),
                Piece::Payer => {}
                Piece::Quote(option) => {
                    // All ways to pay share a quote's text: it is encoded once.
                    let shared = shared.get_or_insert_with(|| {
                        let mut encoded = [0; QUOTE_TEXT / 3 * 4];
                        STANDARD.encode_slice(holes.quote.text, &mut encoded).expect("a multiple of three");
                        encoded
                    });
                    out.out.extend_from_slice(shared);
                    out.stage(&holes.quote.seals[*option]);
                    out.stage(QUOTE_END);
                    out.finish();
                }
            }
        }
        debug_assert_eq!(out.out.len(), length, "a header of exact size is not copied again");
        Bytes::from(out.out)
    }

    /// The length in base64 with an error and a path of these lengths.
    pub(super) fn base64_len(&self, error: usize, path: usize) -> usize {
        let encoded = |length: usize| length.div_ceil(3) * 4;
        self.len(encoded(error + 2), encoded(path + 1), encoded(QUOTE), 0)
    }

    const fn len(&self, error: usize, path: usize, quote: usize, payer: usize) -> usize {
        self.texts + self.errors * error + self.paths * path + self.quotes * quote + self.payers * payer
    }
}

/// Encodes holes piece by piece, each padded with white space to whole groups.
struct Encoder {
    out: Vec<u8>,
    staged: [u8; STAGE],
    held: usize,
}

impl Encoder {
    fn put(&mut self, parts: &[&str]) {
        for part in parts {
            self.stage(part.as_bytes());
        }
        self.finish();
    }

    fn stage(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = bytes.len().min(STAGE - self.held);
            let (head, tail) = bytes.split_at(taken);
            self.staged[self.held..self.held + taken].copy_from_slice(head);
            self.held += taken;
            bytes = tail;
            if self.held == STAGE {
                self.flush();
            }
        }
    }

    fn finish(&mut self) {
        let padding = padding(self.held);
        self.staged[self.held..self.held + padding].fill(b' ');
        self.held += padding;
        self.flush();
    }

    fn flush(&mut self) {
        let start = self.out.len();
        self.out.resize(start + self.held / 3 * 4, 0);
        let encoded = STANDARD.encode_slice(&self.staged[..self.held], &mut self.out[start..]);
        encoded.expect("whole groups of three become whole groups of four");
        self.held = 0;
    }
}

fn extend(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

const fn padding(length: usize) -> usize {
    (3 - length % 3) % 3
}

/// Version 2's error where no payment was sent, the common one.
pub(super) const UNPAID: &str = "Payment required";
/// The same as it stands in the header.
const UNPAID_BASE64: &[u8] = b"IlBheW1lbnQgcmVxdWlyZWQi";
const PAYER: &str = ",\"payer\":\"";
const QUOTE_END: &[u8] = b"\"}";
const QUOTE: usize = QUOTE_TEXT + SEAL_TEXT + QUOTE_END.len();
/// A multiple of three.
const STAGE: usize = 192;
