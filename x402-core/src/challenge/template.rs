//! One response per route, prepared down to its holes.

use std::{borrow::Cow, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;

use super::{
    message::{Holes, Message, SealedQuote, UNPAID},
    pieces, text,
};
use crate::{
    Reply,
    price::{PaymentIdentifier, PriceOption},
    quote::{self, BindingLevel, Fields, QuoteScope, QuoteSealer, SEAL_TEXT},
    time::UnixSeconds,
    wire::{header, v2},
};

/// What one request adds to its route's template.
#[derive(Debug)]
pub struct ChallengeRequest<'a> {
    /// The HTTP status: 402, or 412 for the one [reason](crate::error::RejectReason::status) that has it.
    pub status: u16,
    /// Why the payment was refused; nothing if none was sent.
    pub error: Option<ErrorCodes<'a>>,
    /// Who sent the refused payment, for version 1.
    pub payer: Option<&'a str>,
    /// The request.
    pub scope: QuoteScope<'a>,
    /// Seals the quote.
    pub sealer: &'a QuoteSealer,
    /// How long the quote holds.
    pub lifetime: Duration,
    /// The present.
    pub now: UnixSeconds,
    /// The quote's id and nonce.
    pub entropy: [u8; 32],
}

/// Why a payment is refused, for clients of either version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ErrorCodes<'a> {
    /// By the list of version 1.
    pub v1: &'a str,
    /// By the list of version 2 for how the payment moves its money.
    pub v2: &'a str,
}

/// The 402 of one route, all but what differs between requests.
#[derive(Clone, Debug)]
pub struct ChallengeTemplate {
    options: Box<[[u8; 32]]>,
    header: Message,
    body: Message,
    body_is_v1: bool,
}

impl ChallengeTemplate {
    /// The most ways to pay that one 402 can list.
    pub const MAX_OPTIONS: usize = 16;

    /// Prepares the 402 for a resource, whose `url` is the origin alone, and the ways to pay for it. A `binding`
    /// of [`SignedQuote`](BindingLevel::SignedQuote) declares the extension for it, and so does an `identifier` that is
    /// offered. Where one is required nothing is offered to version 1, which cannot send it.
    ///
    /// # Panics
    /// With more than [`MAX_OPTIONS`](Self::MAX_OPTIONS) ways to pay; a price table refuses those.
    #[must_use]
    pub fn new(
        resource: &v2::ResourceInfo,
        binding: BindingLevel,
        identifier: PaymentIdentifier,
        options: &[PriceOption],
    ) -> Self {
        Self::offering(resource, binding, identifier, options, &|_| true, false)
    }

    /// The same, where only some ways to pay are for version 1, and payers may sign their approval of Permit2 where it is
    /// `sponsored`.
    pub(crate) fn offering(
        resource: &v2::ResourceInfo,
        binding: BindingLevel,
        identifier: PaymentIdentifier,
        options: &[PriceOption],
        offered_v1: &dyn Fn(&PriceOption) -> bool,
        sponsored: bool,
    ) -> Self {
        assert!(options.len() <= Self::MAX_OPTIONS, "a price table has at most 16 options per route");
        let v2 = pieces::v2(resource, binding, identifier, options, sponsored);
        let v1 = if identifier.is_required() { None } else { pieces::v1(resource, options, offered_v1) };
        Self {
            options: options.iter().map(|option| quote::option_digest(&option.to_v2())).collect(),
            header: Message::base64(&resource.url, v2.clone()),
            body_is_v1: v1.is_some(),
            body: Message::plain(&resource.url, v1.unwrap_or(v2)),
        }
    }

    /// The response to one request.
    #[must_use]
    pub fn render(&self, request: &ChallengeRequest<'_>) -> Reply {
        let path = text::url_path(request.scope.path);
        let (v2_error, v1_error) = match request.error {
            None => (Cow::Borrowed(UNPAID), Cow::Borrowed(UNPAID_V1)),
            Some(error) => (text::inner(error.v2), text::inner(error.v1)),
        };
        let quote = self.quote(request);
        let mut holes = Holes { error: &v2_error, path: &path, payer: None, quote: &quote };
        let header = self.header.render_base64(&holes);
        let payer = request.payer.map(text::inner);
        if self.body_is_v1 {
            holes.error = &v1_error;
            holes.payer = payer.as_deref();
        }
        let body = self.body.render_plain(&holes);
        Reply::new(request.status)
            .json(body)
            .header("cache-control", Bytes::from_static(b"no-store"))
            .header("vary", Bytes::from_static(b"PAYMENT-SIGNATURE, X-PAYMENT"))
            .header(header::PAYMENT_REQUIRED, header)
    }

    /// The length of the header `PAYMENT-REQUIRED` for a path of this length.
    #[must_use]
    pub fn header_len(&self, path_len: usize) -> usize {
        self.header.base64_len(UNPAID.len(), path_len)
    }

    fn quote(&self, request: &ChallengeRequest<'_>) -> SealedQuote {
        let (id, nonce) = request.entropy.split_at(16);
        let last = UnixSeconds::new(LAST_SECOND);
        let fields = Fields {
            id: id.try_into().expect("half of 32 bytes"),
            nonce: nonce.try_into().expect("half of 32 bytes"),
            issued_at: request.now.min(last),
            expires_at: request.now.after(request.lifetime).min(last),
            resource: request.scope.digest(),
        };
        let mut quote = SealedQuote {
            text: quote::text(&fields, request.sealer.key_id()),
            seals: [[0; SEAL_TEXT]; Self::MAX_OPTIONS],
        };
        for (seal, option) in quote.seals.iter_mut().zip(&self.options) {
            let written = URL_SAFE_NO_PAD.encode_slice(request.sealer.seal(&fields, option), seal);
            written.expect("32 bytes are 43 characters");
        }
        quote
    }
}

const UNPAID_V1: &str = "X-PAYMENT header is required";
/// The last second of ten digits, in the year 2286: times have a fixed width.
const LAST_SECOND: u64 = 9_999_999_999;
