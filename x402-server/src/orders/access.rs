//! Who may ask for an order.

use std::{env, fmt, fs, path::Path};

use axum::http::HeaderMap;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use x402_core::{
    error::ConfigError,
    order::{OrderId, OrderTokens},
};
use zeroize::Zeroizing;

use crate::bearer::bearer;

/// Who may use the order endpoints: nobody, until told.
#[derive(Clone, Debug, Default)]
#[must_use = "nobody has access until it is given to the router"]
pub struct Access {
    operator: Option<OperatorToken>,
    tokens: Option<OrderTokens>,
}

/// By what right somebody asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Right {
    Operator,
    OrderToken,
}

impl Access {
    /// Access for nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets who shows this token ask for every order.
    pub fn operator(mut self, token: OperatorToken) -> Self {
        self.operator = Some(token);
        self
    }

    /// Lets who shows an order's token ask for that order.
    pub fn order_tokens(mut self, tokens: OrderTokens) -> Self {
        self.tokens = Some(tokens);
        self
    }

    pub(super) fn right(&self, headers: &HeaderMap, order: &OrderId) -> Option<Right> {
        let shown = bearer(headers)?;
        let operator = self.operator.as_ref().is_some_and(|token| token.is(shown));
        let token = self.tokens.as_ref().is_some_and(|tokens| tokens.admits(order, shown));
        match (operator, token) {
            (true, _) => Some(Right::Operator),
            (_, true) => Some(Right::OrderToken),
            _ => None,
        }
    }
}

/// The operator's secret: at least 16 bytes, of which a digest is kept.
#[derive(Clone)]
pub struct OperatorToken([u8; 32]);

impl OperatorToken {
    /// A token.
    ///
    /// # Errors
    /// [`ConfigError`] when it is shorter than 16 bytes, or has characters that a header cannot carry.
    pub fn new(token: &str) -> Result<Self, ConfigError> {
        Self::named(token, "operator token")
    }

    /// The token in a file, without the white space around it.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read, and as for [`new`](Self::new).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let at = || format!("operator token in {}", path.as_ref().display());
        let text = fs::read_to_string(&path).map(Zeroizing::new);
        let text = text.map_err(|error| ConfigError::new(at(), format!("cannot be read: {error}")))?;
        Self::named(text.trim(), &at())
    }

    /// The token in an environment variable.
    ///
    /// # Errors
    /// [`ConfigError`] when it is not set, and as for [`new`](Self::new).
    pub fn from_env(name: &str) -> Result<Self, ConfigError> {
        let at = || format!("operator token in {name}");
        let text = env::var(name).map(Zeroizing::new);
        let text = text.map_err(|_| ConfigError::new(at(), "is not set, or not text"))?;
        Self::named(text.trim(), &at())
    }

    fn named(token: &str, at: &str) -> Result<Self, ConfigError> {
        if token.len() < LEAST {
            let problem = format!("has {} bytes, wanted at least {LEAST} that nobody can guess", token.len());
            return Err(ConfigError::new(at, problem));
        }
        if !token.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(ConfigError::new(at, "has characters that a header cannot carry"));
        }
        Ok(Self(Sha256::digest(token).into()))
    }

    /// Compares digests, so that neither content nor length shows in the time it takes.
    fn is(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.ct_eq(&shown).into()
    }
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(..)")
    }
}

const LEAST: usize = 16;

#[cfg(test)]
mod tests {
    use axum::http::header::AUTHORIZATION;
    use x402_core::quote::QuoteKey;

    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn shown(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_right_needs_the_right_token() {
        let key = QuoteKey::random();
        let tokens = OrderTokens::new(&key, &[]);
        let (order, another) = (OrderId::new([1; 16]), OrderId::new([2; 16]));
        let own = format!("Bearer {}", tokens.token(&order).as_str());
        let access = Access::new().operator(OperatorToken::new(SECRET).unwrap()).order_tokens(tokens);
        let operator = format!("Bearer {SECRET}");
        let (upper, basic) = (format!("bEARER {SECRET}"), format!("Basic {SECRET}"));
        let (short, long) = (format!("Bearer {}", &SECRET[..15]), format!("Bearer {SECRET}0"));
        for (values, right) in [
            (vec![operator.as_str()], Some(Right::Operator)),
            (vec![upper.as_str()], Some(Right::Operator)),
            (vec![own.as_str()], Some(Right::OrderToken)),
            (vec![], None),
            (vec![""], None),
            (vec!["Bearer"], None),
            (vec!["Bearer "], None),
            (vec![SECRET], None),
            (vec![basic.as_str()], None),
            (vec![short.as_str()], None),
            (vec![long.as_str()], None),
            (vec![operator.as_str(), operator.as_str()], None),
        ] {
            assert_eq!(access.right(&shown(&values), &order), right, "{values:?}");
            assert_eq!(Access::new().right(&shown(&values), &order), None, "nobody was given access");
        }
        assert_eq!(access.right(&shown(&[&own]), &another), None);
    }

    #[test]
    fn weak_tokens_are_refused_and_none_is_shown() {
        for weak in ["", "0123456789abcde", "0123456789abcde\u{e9}", "0123456789abcdef\n"] {
            let refused = OperatorToken::new(weak).unwrap_err().to_string();
            assert!(weak.is_empty() || !refused.contains(weak), "{refused}");
        }
        assert_eq!(format!("{:?}", OperatorToken::new(SECRET)), "Ok(OperatorToken(..))");
    }

    #[test]
    fn a_file_may_end_in_a_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, format!("{SECRET}\n")).unwrap();
        assert!(OperatorToken::from_file(&path).unwrap().is(SECRET));
        assert!(OperatorToken::from_file(folder.path().join("absent")).is_err());
        assert!(OperatorToken::from_env("X402_NO_SUCH_VARIABLE").is_err());
    }
}
