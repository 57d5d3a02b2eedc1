//! How tightly a payment is tied to the request it pays for.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Quote, key::from_hex};
use crate::wire::v2;

/// What ties a payment to a request; later levels are stronger.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BindingLevel {
    /// The signature covers network, token, recipient, amount and time; the first use claims the payment for one
    /// request. All that stock version 1 clients can do.
    #[default]
    Terms,
    /// Besides, the echoed quote must fit method, path, query and terms. Stock version 2 clients do it.
    Quote,
    /// Besides, the authorization's nonce is made from the quote, so that the signature commits to it. Needs a
    /// client that knows the extension [`QUOTE_BINDING`].
    SignedQuote,
}

/// How tightly a payment is tied, given the valid quote it carries, if any, and the nonce of its authorization.
#[must_use]
pub fn binding_level(
    payment: &v2::PaymentPayload,
    quote: Option<&Quote>,
    authorization_nonce: &[u8; 32],
) -> BindingLevel {
    let Some(quote) = quote else { return BindingLevel::Terms };
    let committed =
        salt(payment).is_some_and(|salt| quote_binding_nonce(&quote.digest, &salt) == *authorization_nonce);
    if committed { BindingLevel::SignedQuote } else { BindingLevel::Quote }
}

/// The authorization nonce that commits to a quote: SHA-256 over a tag, the quote's digest and a salt.
///
/// The salt is the client's, random, and sent along in the extension [`QUOTE_BINDING`]; it keeps two payments
/// under one quote apart.
#[must_use]
pub fn quote_binding_nonce(quote_digest: &[u8; 32], salt: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(NONCE_TAG).chain_update(quote_digest).chain_update(salt).finalize().into()
}

/// The declaration of the extension in a 402.
pub(crate) fn declaration() -> Map<String, Value> {
    let declaration = json!({
        "info": { "version": "1" },
        "schema": {
            "type": "object",
            "properties": {
                "version": { "const": "1" },
                "salt": { "type": "string", "pattern": "^0x[0-9a-f]{64}$" }
            },
            "required": ["version", "salt"]
        }
    });
    Map::from_iter([(QUOTE_BINDING.to_owned(), declaration)])
}

fn salt(payment: &v2::PaymentPayload) -> Option<[u8; 32]> {
    let salt = payment.extensions.as_ref()?.get(QUOTE_BINDING)?.get("info")?.get("salt")?.as_str()?;
    from_hex(salt.strip_prefix("0x")?)?.try_into().ok()
}

/// The extension by which a client commits to a quote; its `info.salt` is 32 bytes in hexadecimal.
pub const QUOTE_BINDING: &str = "quote-binding";

const NONCE_TAG: &[u8] = b"x402 quote binding v1";
