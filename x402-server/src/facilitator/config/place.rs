//! Where in the file something stands.

use std::ops::Range;

use toml::Spanned;
use x402_core::error::ConfigError;

/// A file's name and text, to point at its lines.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl Text<'_> {
    /// `f.toml line 7, rpc_url`.
    pub(super) fn at<T>(self, key: &str, value: &Spanned<T>) -> String {
        self.place(key, value.span())
    }

    pub(super) fn place(self, key: &str, span: Range<usize>) -> String {
        let line = self.line(span);
        if key.is_empty() {
            format!("{} line {line}", self.name)
        } else {
            format!("{} line {line}, {key}", self.name)
        }
    }

    pub(super) fn wrong<T>(self, key: &str, value: &Spanned<T>, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(self.at(key, value), problem)
    }

    /// An error of the parser: never with the line itself, which may hold a secret.
    pub(super) fn unreadable(self, error: &toml::de::Error) -> ConfigError {
        let at = match error.span() {
            Some(span) => self.place("", span),
            None => self.name.to_owned(),
        };
        let message = error.message();
        let secret = ["gas_key", "private_key", "key", "token"]
            .iter()
            .any(|name| message.starts_with(&format!("unknown field `{name}`")));
        if secret {
            let advice = "secrets are not written into this file; name a file or a variable that holds it \
                 (gas_key_file, gas_key_env, token_env)";
            return ConfigError::new(at, advice);
        }
        ConfigError::new(at, message.replace('\n', " ").trim())
    }

    fn line(self, span: Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}
