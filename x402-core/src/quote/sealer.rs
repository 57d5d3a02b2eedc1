//! Sealing quotes and opening what clients echo.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Fields, MEMBER, QuoteKey, QuoteScope, option_digest};
use crate::{error::ConfigError, time::UnixSeconds, wire::v2};

/// Seals quotes with one key, and opens quotes sealed with it or with keys of before.
#[derive(Clone)]
pub struct QuoteSealer {
    /// The current key first.
    keys: Arc<[SealKey]>,
}

impl QuoteSealer {
    /// Seals with `current`; quotes of `previous` keys stay good until they expire.
    #[must_use]
    pub fn new(current: &QuoteKey, previous: &[QuoteKey]) -> Self {
        Self { keys: std::iter::once(current).chain(previous).map(SealKey::new).collect() }
    }

    /// What the quote in `accepted`, if any, is worth for the request `scope` at `now`.
    ///
    /// The seal is looked at before anything it covers. `skew` is allowed beyond the expiry.
    #[must_use]
    pub fn open(
        &self,
        scope: &QuoteScope<'_>,
        accepted: &v2::PaymentRequirements,
        now: UnixSeconds,
        skew: Duration,
    ) -> QuoteCheck {
        let Some(quote) = accepted.extra.as_ref().and_then(|extra| extra.get(MEMBER)) else {
            return QuoteCheck::Absent;
        };
        let Some(quote) = quote.as_object() else { return QuoteCheck::Invalid };
        let Some(key) = quote.get("key").and_then(Value::as_str) else { return QuoteCheck::Invalid };
        let Some(key) = self.keys.iter().find(|known| known.id == key.as_bytes()) else {
            return QuoteCheck::Absent;
        };
        let Some((fields, seal)) = read(quote) else { return QuoteCheck::Invalid };
        let option = option_digest(accepted);
        if !key.is_seal_of(&fields.message(&option), &seal) {
            return QuoteCheck::Invalid;
        }
        let quote = Quote {
            id: fields.id,
            nonce: fields.nonce,
            issued_at: fields.issued_at,
            expires_at: fields.expires_at,
            resource: fields.resource,
            digest: fields.digest(&option),
        };
        if now > fields.expires_at.after(skew) {
            QuoteCheck::Expired(quote)
        } else if fields.resource != scope.digest() {
            QuoteCheck::ResourceMismatch(quote)
        } else {
            QuoteCheck::Valid(quote)
        }
    }

    pub(crate) fn seal(&self, fields: &Fields, option: &[u8; 32]) -> [u8; 32] {
        self.keys[0].mac(&fields.message(option)).finalize().into_bytes().into()
    }

    pub(crate) fn key_id(&self) -> &[u8; KEY_ID] {
        &self.keys[0].id
    }
}

impl fmt::Debug for QuoteSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuoteSealer").finish_non_exhaustive()
    }
}

/// What an echoed quote is worth.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum QuoteCheck {
    /// There is none, or one sealed with a key this server does not know: the terms must fit the price table.
    Absent,
    /// The terms are this server's, for this request, in time.
    Valid(Quote),
    /// The terms were this server's, and their time is over.
    Expired(Quote),
    /// The terms are this server's, for another request.
    ResourceMismatch(Quote),
    /// The quote or its terms were altered.
    Invalid,
}

impl QuoteCheck {
    /// The quote, where it is worth what it says.
    pub(crate) fn into_good(self) -> Option<Quote> {
        match self {
            Self::Valid(quote) => Some(quote),
            _ => None,
        }
    }
}

/// A quote whose seal is good.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Quote {
    /// Names the quote.
    pub id: [u8; 16],
    /// Its random part.
    pub nonce: [u8; 16],
    /// When it was made.
    pub issued_at: UnixSeconds,
    /// Until when its terms hold.
    pub expires_at: UnixSeconds,
    /// Digest of origin, route, method, path and query that it was made for.
    pub resource: [u8; 32],
    /// What a signature commits to: the quote and the terms it was echoed with.
    pub digest: [u8; 32],
}

/// How long quotes hold: 120 seconds by default, at most 600.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct QuoteLifetime(Duration);

impl QuoteLifetime {
    /// The longest lifetime.
    pub const MAX: Self = Self(Duration::from_secs(600));

    /// A lifetime of whole seconds.
    ///
    /// # Errors
    /// [`ConfigError`] when it is below 1 or above 600 seconds.
    pub fn new(lifetime: Duration) -> Result<Self, ConfigError> {
        let lifetime = Duration::from_secs(lifetime.as_secs());
        if lifetime.is_zero() || lifetime > Self::MAX.0 {
            let problem = format!("{} seconds is not within 1 to 600", lifetime.as_secs());
            return Err(ConfigError::new("quote lifetime", problem));
        }
        Ok(Self(lifetime))
    }

    /// As a duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Default for QuoteLifetime {
    fn default() -> Self {
        Self(Duration::from_secs(120))
    }
}

/// A key made ready: its name, and a MAC that has taken it in.
struct SealKey {
    id: [u8; KEY_ID],
    mac: Hmac<Sha256>,
}

impl SealKey {
    fn new(key: &QuoteKey) -> Self {
        let named = Sha256::new_with_prefix(KEY_ID_TAG).chain_update(key.bytes()).finalize();
        let mut id = [0; KEY_ID];
        URL_SAFE_NO_PAD.encode_slice(&named[..KEY_ID / 4 * 3], &mut id).expect("the name fits");
        Self { id, mac: derived(key, SEAL_TAG) }
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        self.mac.clone().chain_update(message)
    }

    fn is_seal_of(&self, message: &[u8], seal: &[u8; 32]) -> bool {
        self.mac(message).verify_slice(seal).is_ok() // in constant time
    }
}

/// A MAC for one purpose. The key itself only ever derives, so that it may serve others under other tags.
pub(crate) fn derived(key: &QuoteKey, tag: &[u8]) -> Hmac<Sha256> {
    keyed(&keyed(key.bytes()).chain_update(tag).finalize().into_bytes())
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a MAC takes keys of any length")
}

/// Reads a quote and its seal; nothing but their canonical form is taken.
pub(super) fn read(quote: &Map<String, Value>) -> Option<(Fields, [u8; 32])> {
    let seconds = |name| quote.get(name)?.as_u64().map(UnixSeconds::new);
    let fields = Fields {
        id: bytes(quote, "id")?,
        nonce: bytes(quote, "nonce")?,
        issued_at: seconds("issuedAt")?,
        expires_at: seconds("expiresAt")?,
        resource: bytes(quote, "resource")?,
    };
    Some((fields, bytes(quote, "seal")?))
}

fn bytes<const N: usize>(quote: &Map<String, Value>, name: &str) -> Option<[u8; N]> {
    let text = quote.get(name)?.as_str()?;
    let mut bytes = [0; N];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(length) if length == N => Some(bytes),
        _ => None,
    }
}

/// The text of a quote up to its seal, which [`SEAL_TEXT`] bytes and `"}` complete. Its length never changes.
pub(crate) fn text(fields: &Fields, key_id: &[u8; KEY_ID]) -> [u8; QUOTE_TEXT] {
    let mut text = Fixed { bytes: [b' '; QUOTE_TEXT], at: 0 };
    text.put(b"{\"id\":\"");
    text.put_base64(&fields.id);
    text.put(b"\",\"nonce\":\"");
    text.put_base64(&fields.nonce);
    text.put(b"\",\"issuedAt\":");
    text.put_seconds(fields.issued_at);
    text.put(b",\"expiresAt\":");
    text.put_seconds(fields.expires_at);
    text.put(b",\"resource\":\"");
    text.put_base64(&fields.resource);
    text.put(b"\",\"key\":\"");
    text.put(key_id);
    text.put(b"\",\"seal\": \"");
    text.bytes
}

struct Fixed {
    bytes: [u8; QUOTE_TEXT],
    at: usize,
}

impl Fixed {
    fn put(&mut self, text: &[u8]) {
        self.bytes[self.at..self.at + text.len()].copy_from_slice(text);
        self.at += text.len();
    }

    fn put_base64(&mut self, bytes: &[u8]) {
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut self.bytes[self.at..]);
        self.at += written.expect("the widths are fixed");
    }

    /// Ten digits, or fewer and spaces behind them.
    fn put_seconds(&mut self, seconds: UnixSeconds) {
        let mut digits = [b'0'; SECONDS];
        let (high, low) = (seconds.get() / 100_000, seconds.get() % 100_000);
        for (half, value) in digits.chunks_exact_mut(SECONDS / 2).zip([high, low]) {
            let mut rest = value as u32; // halves of five digits
            for digit in half.iter_mut().rev() {
                *digit += (rest % 10) as u8;
                rest /= 10;
            }
        }
        let zeros = digits.iter().take(SECONDS - 1).take_while(|digit| **digit == b'0').count();
        if zeros > 0 {
            digits[..zeros].fill(b' ');
            digits.rotate_left(zeros);
        }
        self.put(&digits);
    }
}

/// How far clocks may differ.
pub const SKEW: Duration = Duration::from_secs(5);

/// The length of a key's name.
const KEY_ID: usize = 8;
/// The length of a seal in base64.
pub(crate) const SEAL_TEXT: usize = 43;
/// The length of a quote's text before its seal: a multiple of three, so that base64 can be cut behind it.
pub(crate) const QUOTE_TEXT: usize = 192;
const SECONDS: usize = 10;
const KEY_ID_TAG: &[u8] = b"x402 quote key id v1";
const SEAL_TAG: &[u8] = b"x402 quote seal v1";
