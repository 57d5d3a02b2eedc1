//! What the user writes: prices, and what else belongs to a route.

use std::{sync::Arc, time::Duration};

use super::{AmountError, AtomicAmount, NetworkError, NetworkId, PriceError, PriceOption, Pricer};
use crate::{SettleTiming, error::BoxError, head::RequestFacts, quote::BindingLevel};

/// What a request costs, before the table turned it into ways to pay.
///
/// ```
/// use x402_core::price::Price;
///
/// let dollars = Price::usd("0.01")?;            // in the default token of every network with a recipient
/// let euros = Price::token("eip155:8453", "0x60a3E35Cc302bFA44Cb288Bc5a4F316Fdb1adb42", "0.01");
/// let either = dollars.or(euros);
/// # Ok::<(), x402_core::price::AmountError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Price {
    pub(super) parts: Vec<Asked>,
}

/// One part of a price, and how it is paid.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) part: Part,
    pub(super) way: Way,
}

/// How a payer pays: the later ones need what the earlier do, and more.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Way {
    /// As the token is moved.
    Plain,
    /// Through Permit2.
    Permit2,
    /// Up to the amount, through Permit2.
    UpTo,
}

/// What a part is. What is wrong with it is kept until the table is built.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Dollars(String),
    Atomic { network: Result<NetworkId, NetworkError>, amount: AtomicAmount },
    Token { network: Result<NetworkId, NetworkError>, token: String, amount: String },
    Option(PriceOption),
    Dynamic(Arc<dyn Pricer>),
    Mistake(PriceError),
}

impl Price {
    /// A price in dollars, such as `"0.01"`, asked in the default token of every network that has a recipient,
    /// in the order of the recipients.
    ///
    /// # Errors
    /// [`AmountError`] when the text is not a decimal. Whether it is too fine for a token shows when the table
    /// is built.
    pub fn usd(dollars: &str) -> Result<Self, AmountError> {
        AtomicAmount::from_decimal(dollars, MOST_PLACES)?;
        Ok(Self::one(Part::Dollars(dollars.to_owned())))
    }

    /// A price in units of the network's default token.
    pub fn atomic(network: impl AsRef<str>, amount: impl Into<AtomicAmount>) -> Self {
        Self::one(Part::Atomic { network: NetworkId::new(network.as_ref()), amount: amount.into() })
    }

    /// A price in a token of the network, by its symbol or address; the amount is a decimal of the whole token.
    pub fn token(
        network: impl AsRef<str>,
        symbol_or_address: impl Into<String>,
        amount: impl Into<String>,
    ) -> Self {
        Self::one(Part::Token {
            network: NetworkId::new(network.as_ref()),
            token: symbol_or_address.into(),
            amount: amount.into(),
        })
    }

    /// Ways to pay written out, each with its recipient.
    pub fn options(options: Vec<PriceOption>) -> Self {
        Self { parts: options.into_iter().map(|option| Part::Option(option).into()).collect() }
    }

    /// A price that is known only when the request was served: the payer authorizes this much at most, and the handler
    /// says what it was. By the scheme `upto`: through Permit2, for clients of version 2, and settled by the one account
    /// that the facilitator names in its `/supported`.
    ///
    /// ```
    /// use x402_core::price::Price;
    ///
    /// let at_most_ten_cents = Price::up_to("$0.10");
    /// let in_euros = Price::up_to(Price::token("eip155:8453", "EURC", "0.10"));
    /// ```
    pub fn up_to(most: impl Into<Self>) -> Self {
        most.into().by(Way::UpTo)
    }

    /// The same price, moved by Permit2 instead of the token's own EIP-3009, for clients of version 2. A payer needs to
    /// have approved Permit2 once, or a token and a facilitator by which the approval can be signed (EIP-2612); an engine that
    /// was [started](crate::EngineBuilder::start) asks for that where it is so.
    ///
    /// Tokens that are known to have no EIP-3009 are moved this way without being asked to.
    pub fn permit2(self) -> Self {
        self.by(Way::Permit2)
    }

    /// A price computed for each request, by an async closure over its [facts](RequestFacts). See [`Pricer`].
    pub fn dynamic<F, Fut, P, E>(price: F) -> Self
    where
        F: Fn(RequestFacts) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<P, E>> + Send + 'static,
        P: Into<Self>,
        E: Into<BoxError>,
    {
        Self::pricer(price)
    }

    /// A price computed for each request, by a [`Pricer`].
    pub fn pricer(pricer: impl Pricer + 'static) -> Self {
        Self::one(Part::Dynamic(Arc::new(pricer)))
    }

    /// This price, or else `other`: the client chooses. The order is the server's preference.
    pub fn or(mut self, other: impl Into<Self>) -> Self {
        self.parts.extend(other.into().parts);
        self
    }

    pub(super) fn by(mut self, way: Way) -> Self {
        for asked in &mut self.parts {
            asked.way = asked.way.max(way);
        }
        self
    }

    fn one(part: Part) -> Self {
        Self { parts: vec![part.into()] }
    }
}

impl From<Part> for Asked {
    fn from(part: Part) -> Self {
        Self { part, way: Way::Plain }
    }
}

/// Reads `"$0.01"`. A mistake surfaces when the table is built.
impl From<&str> for Price {
    fn from(text: &str) -> Self {
        let part = match text.strip_prefix('$').map(Self::usd) {
            Some(Ok(price)) => return price,
            Some(Err(error)) => Part::Mistake(PriceError::Amount { text: text.to_owned(), error }),
            None => Part::Mistake(PriceError::NotDollars(text.to_owned())),
        };
        Self::one(part)
    }
}

/// A price and what else belongs to a route.
///
/// ```
/// use std::time::Duration;
/// use x402_core::{SettleTiming, price::{PaymentIdentifier, PriceRule}, quote::BindingLevel};
///
/// let rule = PriceRule::new("$0.25")
///     .description("A rendered page")
///     .mime_type("application/pdf")
///     .settle(SettleTiming::BeforeHandler)
///     .binding(BindingLevel::Quote)
///     .max_timeout(Duration::from_secs(60))
///     .payment_identifier(PaymentIdentifier::Optional)
///     .bind_body(64 * 1024);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PriceRule {
    pub(super) price: Price,
    pub(super) description: Option<String>,
    pub(super) mime_type: Option<String>,
    pub(super) settle: Option<SettleTiming>,
    pub(super) binding: BindingLevel,
    pub(super) max_timeout: Duration,
    pub(super) private_cache: bool,
    pub(super) payment_identifier: Option<PaymentIdentifier>,
    pub(super) body_limit: Option<usize>,
    pub(super) after_input: bool,
}

/// Whether payers may, or must, name their payments by the extension
/// [`payment-identifier`](crate::wire::extension::PAYMENT_IDENTIFIER) of version 2.
///
/// A name belongs to its payer. It is given with the first presentation of a payment; from then on another payment of
/// that payer under the same name is refused with 409, and nothing is charged. A payment that comes again is recognised by
/// what was signed, whatever name it brings.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PaymentIdentifier {
    /// Not offered; one that a client sends all the same is ignored.
    #[default]
    Off,
    /// Offered.
    Optional,
    /// Demanded: without one a new payment is answered with 400. Version 1 has no extensions, so its clients are not
    /// offered such a route.
    Required,
}

impl PaymentIdentifier {
    /// Whether the 402 declares the extension.
    #[must_use]
    pub const fn is_offered(self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Whether a new payment needs one.
    #[must_use]
    pub const fn is_required(self) -> bool {
        matches!(self, Self::Required)
    }
}

impl PriceRule {
    /// A rule with this price and defaults for everything else.
    pub fn new(price: impl Into<Price>) -> Self {
        Self {
            price: price.into(),
            description: None,
            mime_type: None,
            settle: None,
            binding: BindingLevel::default(),
            max_timeout: Duration::from_secs(super::option::DEFAULT_TIMEOUT_SECONDS),
            private_cache: false,
            payment_identifier: None,
            body_limit: None,
            after_input: false,
        }
    }

    /// What is sold, in at most 500 characters. Payers see it.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// The media type of what is sold.
    pub fn mime_type(mut self, mime_type: impl Into<String>) -> Self {
        self.mime_type = Some(mime_type.into());
        self
    }

    /// When this route is settled, if not when the others are.
    pub fn settle(mut self, timing: SettleTiming) -> Self {
        self.settle = Some(timing);
        self
    }

    /// The weakest tie between payment and request that is accepted. Default: [`BindingLevel::Terms`].
    pub fn binding(mut self, minimum: BindingLevel) -> Self {
        self.binding = minimum;
        self
    }

    /// How long a payer's authorization should be valid, 10 to 3600 seconds. Default: 300.
    pub fn max_timeout(mut self, timeout: Duration) -> Self {
        self.max_timeout = timeout;
        self
    }

    /// Lets the payer's own cache keep what was paid for: `private` instead of `private, no-store`.
    pub fn private_cache(mut self) -> Self {
        self.private_cache = true;
        self
    }

    /// Whether payers may, or must, name their payments, if not as the [table](super::PricesBuilder::payment_identifier)
    /// says.
    pub fn payment_identifier(mut self, identifier: PaymentIdentifier) -> Self {
        self.payment_identifier = Some(identifier);
        self
    }

    /// Ties the payment to the request's body, too: a body of up to `limit` bytes is read before the payment is claimed,
    /// and its hash becomes part of what the payment is for. A retry with the same body gets the stored response, one with
    /// another body is refused with 409. A longer body is refused with 413, and nothing is charged.
    ///
    /// A body is read only when a payment came with it, whole, and within 30 seconds; each such request holds that much
    /// memory. The handler gets the very bytes that were hashed, without trailers. Not for requests that stream for as
    /// long as their response does.
    pub fn bind_body(mut self, limit: usize) -> Self {
        self.body_limit = Some(limit);
        self
    }

    /// Lets the handler look at its input before money is asked for: a request that it cannot use is refused for what is
    /// wrong with it, and nobody pays for that. The paywall leaves a [`Demand`](crate::Demand) with the request, and the
    /// handler's extractor `Paid<E>` (axum, actix) takes it once `E` was extracted.
    ///
    /// Such a route is settled [before its handler](SettleTiming::BeforeHandler) unless [`settle`](Self::settle) says
    /// otherwise, or one of its prices is a [ceiling](Price::up_to): then it is settled after it, and the handler says by the
    /// [`Charge`](crate::Charge) of its `Paid<E>` what it used. (A price that is [computed](Price::dynamic) may be a ceiling
    /// where [`settle`](Self::settle) says so.) A [success](crate::EngineBuilder::success) that nobody was asked to pay for never
    /// leaves: it becomes a 500, and the log names the route.
    ///
    /// What reads the input works for requests without a payment, too, so it needs limits of its own. A body that is
    /// [bound](Self::bind_body) is read by the paywall before the handler gets it, and only where a payment came with it.
    pub fn after_input(mut self) -> Self {
        self.after_input = true;
        self
    }
}

impl From<Price> for PriceRule {
    fn from(price: Price) -> Self {
        Self::new(price)
    }
}

/// Reads `"$0.01"`. A mistake surfaces when the table is built.
impl From<&str> for PriceRule {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// More places than this no known token has; a table's tokens decide at last.
const MOST_PLACES: u8 = 36;
