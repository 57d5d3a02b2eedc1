//! Capability tokens: who holds an order's token may look at this one order.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::OrderId;
use crate::quote::{QuoteKey, derived};

/// Makes and recognises the tokens of orders. Nothing is stored for a token.
///
/// A token is an HMAC over the order's name, under a key derived from the quotes' key for this purpose alone: every
/// instance that shares the key makes the same token, and recognises those of previous keys for as long as it is given
/// them. It does not expire by itself.
///
/// It is handed out by the merchant, in a body, a header or a mail as suits; no message of the protocol has a place for
/// it that stock clients would keep.
///
/// ```
/// use x402_core::{order::{OrderId, OrderTokens}, quote::QuoteKey};
///
/// let (old, new) = (QuoteKey::random(), QuoteKey::random());
/// let order = OrderId::new([7; 16]);
/// let token = OrderTokens::new(&old, &[]).token(&order);
///
/// let tokens = OrderTokens::new(&new, &[old]);
/// assert!(tokens.admits(&order, token.as_str()));
/// assert!(!tokens.admits(&OrderId::new([8; 16]), token.as_str()));
/// ```
#[derive(Clone)]
pub struct OrderTokens {
    /// The current key first.
    keys: Arc<[Hmac<Sha256>]>,
}

impl OrderTokens {
    /// Makes tokens with `current`, and recognises those of `previous` keys too.
    #[must_use]
    pub fn new(current: &QuoteKey, previous: &[QuoteKey]) -> Self {
        let keys = std::iter::once(current).chain(previous);
        Self { keys: keys.map(|key| derived(key, TAG)).collect() }
    }

    /// The token of an order.
    #[must_use]
    pub fn token(&self, order: &OrderId) -> OrderToken {
        let mac = self.keys[0].clone().chain_update(order.as_bytes()).finalize().into_bytes();
        OrderToken(URL_SAFE_NO_PAD.encode(mac))
    }

    /// Whether `token` is this order's. Takes the same time for every wrong one.
    #[must_use]
    pub fn admits(&self, order: &OrderId, token: &str) -> bool {
        let mut mac = [0; 32];
        let canonical = URL_SAFE_NO_PAD.decode_slice(token, &mut mac) == Ok(mac.len());
        let of = |key: &Hmac<Sha256>| key.clone().chain_update(order.as_bytes()).verify_slice(&mac).is_ok();
        canonical && self.keys.iter().any(of)
    }
}

impl fmt::Debug for OrderTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderTokens").finish_non_exhaustive()
    }
}

/// The right to look at one order: a secret, never shown by debug output.
#[derive(Clone)]
pub struct OrderToken(String);

impl OrderToken {
    /// The token's text: 43 characters that need no escapes in a header or a URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OrderToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderToken(..)")
    }
}

const TAG: &[u8] = b"x402 order token v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_its_own_order_under_its_own_key_and_nothing_else() {
        let (key, other) = (QuoteKey::try_from(&[1, 2].repeat(16)[..]).unwrap(), QuoteKey::random());
        let tokens = OrderTokens::new(&key, &[]);
        let (order, another) = (OrderId::new([1; 16]), OrderId::new([2; 16]));
        let token = tokens.token(&order);
        assert_eq!(token.as_str().len(), 43);
        assert!(tokens.admits(&order, token.as_str()));
        assert!(!tokens.admits(&another, token.as_str()));
        assert!(!OrderTokens::new(&other, &[]).admits(&order, token.as_str()));
        assert!(OrderTokens::new(&other, &[key]).admits(&order, token.as_str()));
        let id = order.to_string();
        for wrong in ["", "x", id.as_str(), &token.as_str()[..42], &format!("{}=", token.as_str())] {
            assert!(!tokens.admits(&order, wrong), "{wrong}");
        }
        assert_eq!(format!("{token:?} {tokens:?}"), "OrderToken(..) OrderTokens { .. }");
    }
}
