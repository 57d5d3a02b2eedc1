//! The first step: synchronous, pure, and without allocation on free routes.

use std::{fmt, sync::Arc};

use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use tracing::Span;

use super::{Engine, PaidContext, replies};
use crate::{
    Reply, SettleTiming,
    adapter::handler_failed,
    error::{BodyError, Malformed, ReasonNames, Unavailable},
    head::{Header, RequestFacts, RequestHead},
    order::{PaymentId, RequestFingerprint},
    price::{Lookup, PriceOption, Rule, RulePrice},
    telemetry,
    wire::{
        PaymentPayload, Presented, X402Version, decode_payment,
        extension::read_payment_id,
        header::{PAYMENT_SIGNATURE, X_PAYMENT},
    },
};

/// What becomes of a request after a look at its head.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "moved once, and a box would cost an allocation")]
pub enum Triage {
    /// It costs nothing: call the handler.
    Free,
    /// It is answered as it is.
    Reply(Reply),
    /// A payment, or a price, must be looked at: await [`Engine::admit`].
    Check(Attempt),
    /// Its handler looks at its input first: give the handler a [`Demand`](super::Demand), made by [`Engine::demand`].
    Demand(Attempt),
}

/// A priced request, owned, on its way into [`Engine::admit`].
///
/// Where [`body_limit`](Self::body_limit) asks for the request's body, it is read and [bound](Self::bind) before:
/// [`adapter::bind_body`](crate::adapter::bind_body) does both.
pub struct Attempt {
    pub(super) rule: Arc<Rule>,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) fingerprint: RequestFingerprint,
    pub(super) replayable: bool,
    pub(super) payment: Option<Box<Presented>>,
    /// The dialect of the payment.
    pub(super) version: Option<X402Version>,
    /// How its refusal is named, once it was read.
    pub(super) names: ReasonNames,
    /// What the client calls its payment, where the route lets it.
    pub(super) payment_id: Option<PaymentId>,
    body_limit: Option<usize>,
    body_digest: Option<[u8; 32]>,
    /// What a price may depend on, where it is computed per request.
    pub(super) facts: Option<RequestFacts>,
    /// The computed price, once it was asked for.
    pub(super) own: OnceCell<Arc<[PriceOption]>>,
    /// The span that its handler runs in already.
    pub(super) span: Option<Span>,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("route", &self.rule.pattern)
            .field("method", &self.method)
            .field("paid", &self.payment.is_some())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Decides from a request's head what becomes of the request. No I/O; no allocation when it is free.
    #[must_use]
    pub fn triage(&self, head: &(impl RequestHead + ?Sized)) -> Triage {
        let rule = match self.prices.lookup(head.method(), head.path()) {
            Lookup::Free => return Triage::Free,
            Lookup::Priced(_) if self.shared.work.is_draining() => {
                return Triage::Reply(replies::unavailable(Unavailable::Draining));
            }
            Lookup::Priced(rule) => rule,
            Lookup::Ambiguous => return Triage::Reply(replies::malformed(Malformed::AmbiguousPath)),
            Lookup::Reject => return Triage::Reply(replies::no_price()),
            Lookup::MethodNotAllowed { allow } => return Triage::Reply(replies::allow(405, allow)),
            Lookup::Options { allow } => return Triage::Reply(replies::allow(204, allow)),
        };
        // 400 and not 501: the server can, the client must not; and a 5xx would have it try again.
        if self.timing(rule) != SettleTiming::BeforeHandler && wants_connection(head) {
            return Triage::Reply(replies::malformed(Malformed::UpgradeNotOffered));
        }
        let payment = match payment_header(head).and_then(|header| header.map(decode_payment).transpose()) {
            Ok(payment) => payment,
            Err(malformed) => return Triage::Reply(replies::malformed(malformed)),
        };
        match (&rule.price, payment) {
            (_, payment) if rule.after_input => {
                Attempt::new(rule, head, payment).map_or_else(Triage::Reply, Triage::Demand)
            }
            (RulePrice::Fixed(fixed), None) => {
                telemetry::challenged();
                Triage::Reply(self.challenge_unpaid(rule, &fixed.challenge, head))
            }
            (_, payment) => Attempt::new(rule, head, payment).map_or_else(Triage::Reply, Triage::Check),
        }
    }

    /// What a request is answered that was paid for at another paywall, around this one, if it paid less there than it
    /// costs here: 500, which charges nobody. A price that is computed per request is not compared.
    #[must_use]
    pub fn underpaid(&self, head: &(impl RequestHead + ?Sized), paid: &PaidContext) -> Option<Reply> {
        let Lookup::Priced(rule) = self.prices.lookup(head.method(), head.path()) else { return None };
        let RulePrice::Fixed(fixed) = &rule.price else { return None };
        let covers = |option: &PriceOption| {
            option.network == paid.network
                && option.asset.eq_ignore_ascii_case(&paid.asset)
                && option.amount <= paid.amount
        };
        if fixed.options.iter().any(covers) {
            return None;
        }
        tracing::error!(
            route = %rule.pattern,
            "a route is priced twice, and the outer paywall asks for less; keep one price"
        );
        Some(handler_failed())
    }
}

impl Attempt {
    /// Up to how many bytes of the request's body are to be read and [bound](Self::bind) before [`Engine::admit`]; `None`
    /// where the body is none of the paywall's business: not sent, unpaid, or not bound by its route.
    #[must_use]
    pub const fn body_limit(&self) -> Option<usize> {
        self.body_limit
    }

    /// Makes the request's whole body a part of what is paid for. The handler must get these very bytes.
    pub fn bind(&mut self, body: &[u8]) {
        let digest = Sha256::digest(body).into();
        self.fingerprint = self.fingerprint.with_body(&digest);
        self.body_digest = Some(digest);
        self.body_limit = None;
        self.replayable = true;
    }

    /// SHA-256 of the body that was bound.
    #[must_use]
    pub const fn body_digest(&self) -> Option<&[u8; 32]> {
        self.body_digest.as_ref()
    }

    fn new(
        rule: &Arc<Rule>,
        head: &(impl RequestHead + ?Sized),
        payment: Option<Presented>,
    ) -> Result<Self, Reply> {
        let payment_id = match &payment {
            Some(payment) if rule.payment_identifier.is_offered() => {
                payment_id(&payment.payment).map_err(replies::malformed)?
            }
            _ => None,
        };
        let body_limit = rule.body_limit.filter(|_| payment.is_some() && head.has_body());
        let length = single(head.header("content-length"));
        if body_limit.zip(length).is_some_and(|(limit, length)| is_longer(length, limit)) {
            return Err(replies::body_refused(BodyError::TooLarge));
        }
        let (method, path, query) = (head.method(), head.path(), head.query());
        let facts = match rule.price {
            RulePrice::Fixed(_) => None,
            RulePrice::Dynamic(_) => Some(facts(rule, head)),
        };
        Ok(Self {
            rule: Arc::clone(rule),
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            fingerprint: RequestFingerprint::new(
                method,
                path,
                query,
                single(head.header("content-type")),
                length,
            ),
            replayable: !head.has_body(),
            version: payment.as_ref().map(|payment| payment.payment.version()),
            names: ReasonNames::default(),
            payment: payment.map(Box::new),
            payment_id,
            body_limit,
            body_digest: None,
            facts,
            own: OnceCell::new(),
            span: None,
        })
    }
}

/// Whether the request asks for a connection instead of a response: by `Upgrade` (WebSocket and the like), or by
/// `CONNECT`, as HTTP/2 does it.
fn wants_connection(head: &(impl RequestHead + ?Sized)) -> bool {
    let upgrade = match head.header("upgrade") {
        Header::Absent => false,
        Header::One(protocols) => !protocols.split(|byte| *byte == b',').all(is_still_http),
        Header::Many => true,
    };
    upgrade || head.method() == "CONNECT"
}

/// Another version of HTTP, or HTTP over TLS: offered by clients along with ordinary requests, whose answer stays a
/// response.
fn is_still_http(protocol: &[u8]) -> bool {
    let protocol = protocol.trim_ascii();
    let begins =
        |with: &[u8]| protocol.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    protocol.eq_ignore_ascii_case(b"h2c") || begins(b"HTTP/") || begins(b"TLS/")
}

/// At most one payment in at most one header; a payment of either version may come in either.
fn payment_header(head: &(impl RequestHead + ?Sized)) -> Result<Option<&[u8]>, Malformed> {
    match (head.header(PAYMENT_SIGNATURE), head.header(X_PAYMENT)) {
        (Header::Absent, Header::Absent) => Ok(None),
        (Header::One(payment), Header::Absent) | (Header::Absent, Header::One(payment)) => Ok(Some(payment)),
        (Header::Many, _) | (_, Header::Many) => Err(Malformed::DuplicateHeader),
        (Header::One(_), Header::One(_)) => Err(Malformed::BothHeaders),
    }
}

/// What the client calls its payment. Version 1 has no extensions.
fn payment_id(payment: &PaymentPayload) -> Result<Option<PaymentId>, Malformed> {
    match payment {
        PaymentPayload::V1(_) => Ok(None),
        PaymentPayload::V2(payment) => read_payment_id(payment.extensions.as_ref(), false),
    }
}

/// Whether a declared length is beyond the limit; one that cannot be read is left to the framework.
fn is_longer(length: &[u8], limit: usize) -> bool {
    let length = std::str::from_utf8(length).ok().and_then(|length| length.trim().parse::<u64>().ok());
    length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit))
}

fn single(header: Header<'_>) -> Option<&[u8]> {
    match header {
        Header::One(value) => Some(value),
        Header::Absent => None,
        Header::Many => Some(b"\0many"),
    }
}

fn facts(rule: &Rule, head: &(impl RequestHead + ?Sized)) -> RequestFacts {
    let mut headers = head.headers();
    headers.retain(|(name, _)| name != PAYMENT_SIGNATURE && name != X_PAYMENT);
    RequestFacts {
        method: head.method().to_owned(),
        path: head.path().to_owned(),
        query: head.query().map(str::to_owned),
        params: rule.params(head.path()),
        headers,
        peer: head.peer(),
    }
}
