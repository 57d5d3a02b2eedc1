//! The 402: terms for clients of both protocol versions in one response.
//!
//! Version 2 reads the header `PAYMENT-REQUIRED`, version 1 the JSON body. Both come from a [`ChallengeTemplate`]
//! made once per route: what never changes is kept ready, in base64 for the header, so that answering an unpaid
//! request is copying, encoding three short holes and sealing the quote.
//!
//! The body lists only what strict version 1 clients can read: one unknown name makes them refuse all of it. It
//! lists one way to pay per network, since their payments do not name the token. Where nothing is left, the body
//! repeats the version 2 object for people and programs that read only bodies.

mod message;
mod pieces;
mod template;
mod text;

pub use self::template::{ChallengeRequest, ChallengeTemplate, ErrorCodes};

/// The URL of the resource at a path.
pub(crate) fn url(origin: &str, path: &str) -> String {
    [origin, &text::url_path(path)].concat()
}

#[cfg(test)]
mod tests;
