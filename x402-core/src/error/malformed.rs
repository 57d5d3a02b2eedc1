//! Requests whose payment, or path, cannot be read in exactly one way, or that ask for what is not sold.

use std::fmt;

/// A request that cannot be read in exactly one way, or that asks for what its route does not sell. Answered with 400 and no challenge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Malformed {
    /// The payment header is longer than the limit.
    HeaderTooLarge,
    /// A payment header was sent more than once.
    DuplicateHeader,
    /// Both payment headers were sent.
    BothHeaders,
    /// The payment header is not base64.
    NotBase64,
    /// The payment header does not hold JSON.
    NotJson,
    /// The JSON nests deeper than the limit.
    TooDeep,
    /// An object of the JSON has more members than the limit.
    TooManyMembers,
    /// An object of the JSON names a member twice.
    DuplicateKey,
    /// The JSON is not a payment.
    NotAPayment,
    /// The payment is of a protocol version other than 1 or 2.
    UnknownVersion,
    /// The path has dot segments, encoded separators, a NUL, a broken escape or two readings.
    AmbiguousPath,
    /// The payment identifier is not 16 to 128 characters of `[A-Za-z0-9_-]`.
    InvalidPaymentIdentifier,
    /// The route asks for a payment identifier and none was sent.
    PaymentIdentifierRequired,
    /// The request asks for a connection, and the route sells responses: only one that is settled before its handler
    /// switches protocols.
    UpgradeNotOffered,
}

impl Malformed {
    /// The code sent to the client.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::HeaderTooLarge => "payment_header_too_large",
            Self::DuplicateHeader => "duplicate_payment_header",
            Self::BothHeaders => "conflicting_payment_headers",
            Self::NotBase64 => "payment_header_not_base64",
            Self::NotJson => "payment_header_not_json",
            Self::TooDeep => "payment_too_deep",
            Self::TooManyMembers => "payment_too_many_members",
            Self::DuplicateKey => "payment_duplicate_key",
            Self::NotAPayment => "invalid_payload",
            Self::UnknownVersion => "invalid_x402_version",
            Self::AmbiguousPath => "ambiguous_path",
            Self::InvalidPaymentIdentifier => "invalid_payment_identifier",
            Self::PaymentIdentifierRequired => "payment_identifier_required",
            Self::UpgradeNotOffered => "upgrade_not_offered",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Malformed {}
