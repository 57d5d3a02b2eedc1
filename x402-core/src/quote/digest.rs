//! What a seal covers, as digests. Every field is of fixed width or preceded by its length, so that no two
//! different contents read the same.

use std::fmt;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{FACILITATOR, MEMBER, SEALED_EXTRA, sealer};
use crate::{time::UnixSeconds, wire::v2};

/// The request that a quote is for. Debug output leaves the query out.
#[derive(Clone)]
pub struct QuoteScope<'a> {
    pub(crate) route: RouteDigest,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
}

impl<'a> QuoteScope<'a> {
    /// `origin` and `route` come from the price table, the rest from the request; the query goes in as a digest.
    #[must_use]
    pub fn new(origin: &str, route: &str, method: &'a str, path: &'a str, query: Option<&'a str>) -> Self {
        Self { route: RouteDigest::new(origin, route), method, path, query }
    }

    /// The digest that stands for this request. `HEAD` counts as `GET`.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let method = if self.method == "HEAD" { "GET" } else { self.method };
        let mut digest = self.route.0.clone();
        text(&mut digest, method);
        text(&mut digest, self.path);
        match self.query {
            None => digest.update([0]),
            Some(query) => {
                digest.update([1]);
                digest.update(Sha256::digest(query));
            }
        }
        digest.finalize().into()
    }
}

impl fmt::Debug for QuoteScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuoteScope")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A digest that has taken in origin and route, one block, once per route.
#[derive(Clone, Debug)]
pub(crate) struct RouteDigest(Sha256);

impl RouteDigest {
    pub(crate) fn new(origin: &str, route: &str) -> Self {
        let mut digest = Sha256::new_with_prefix(ROUTE_TAG);
        text(&mut digest, origin);
        text(&mut digest, route);
        Self(Sha256::new_with_prefix(RESOURCE_TAG).chain_update(digest.finalize()))
    }
}

/// The digest of a way to pay, texts as they are written.
///
/// EVM addresses are digested in lower case, since clients may echo them with another checksum case.
pub(crate) fn option_digest(terms: &v2::PaymentRequirements) -> [u8; 32] {
    let evm = terms.network.starts_with("eip155:");
    let mut digest = Sha256::new_with_prefix(OPTION_TAG);
    text(&mut digest, &terms.scheme);
    text(&mut digest, &terms.network);
    text(&mut digest, &terms.amount);
    address(&mut digest, &terms.asset, evm);
    address(&mut digest, &terms.pay_to, evm);
    digest.update(terms.max_timeout_seconds.to_be_bytes());
    for name in SEALED_EXTRA {
        match terms.extra.as_ref().and_then(|extra| extra.get(name)) {
            // Older quotes do not know of it, and have the digests they had.
            None if name == FACILITATOR => {}
            None => digest.update([0]),
            Some(Value::String(value)) => {
                digest.update([1]);
                text(&mut digest, value);
            }
            Some(other) => {
                digest.update([2]);
                text(&mut digest, &other.to_string());
            }
        }
    }
    digest.finalize().into()
}

/// The digest of the quote that the terms carry, as the extension
/// [`quote-binding`](super::QUOTE_BINDING) signs it, or nothing if they carry none.
#[must_use]
pub fn quote_digest(terms: &v2::PaymentRequirements) -> Option<[u8; 32]> {
    let quote = terms.extra.as_ref()?.get(MEMBER)?.as_object()?;
    let (fields, _) = sealer::read(quote)?;
    Some(fields.digest(&option_digest(terms)))
}

/// What a quote says besides the terms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fields {
    pub(crate) id: [u8; 16],
    pub(crate) nonce: [u8; 16],
    pub(crate) issued_at: UnixSeconds,
    pub(crate) expires_at: UnixSeconds,
    pub(crate) resource: [u8; 32],
}

impl Fields {
    /// The message under the seal: all fixed widths.
    pub(crate) fn message(&self, option: &[u8; 32]) -> [u8; MESSAGE] {
        let mut message = [0; MESSAGE];
        message[..32].copy_from_slice(option);
        message[32..64].copy_from_slice(&self.resource);
        message[64..80].copy_from_slice(&self.id);
        message[80..96].copy_from_slice(&self.nonce);
        message[96..104].copy_from_slice(&self.issued_at.get().to_be_bytes());
        message[104..].copy_from_slice(&self.expires_at.get().to_be_bytes());
        message
    }

    /// The public digest of the quote with this way to pay.
    pub(crate) fn digest(&self, option: &[u8; 32]) -> [u8; 32] {
        Sha256::new_with_prefix(QUOTE_TAG).chain_update(self.message(option)).finalize().into()
    }
}

fn text(digest: &mut Sha256, text: &str) {
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text);
}

fn address(digest: &mut Sha256, address: &str, evm: bool) {
    if evm { text(digest, &address.to_ascii_lowercase()) } else { text(digest, address) }
}

/// Short enough that the MAC takes two blocks.
const MESSAGE: usize = 112;
/// Half a block: with a digest behind it, a whole one.
const RESOURCE_TAG: [u8; 32] = *b"x402 quote resource v1          ";
const ROUTE_TAG: &[u8] = b"x402 quote route v1";
const OPTION_TAG: &[u8] = b"x402 quote option v1";
const QUOTE_TAG: &[u8] = b"x402 quote v1";
