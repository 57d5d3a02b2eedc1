//! A remote facilitator over HTTP.

mod address;
mod exchange;
mod fault;
mod reason;
mod verdict;

use std::{env, fmt, time::Duration};

use reqwest::Client;
use rustls::ClientConfig;
use serde::Serialize;

use self::{
    address::Address,
    exchange::{Answer, exchange, get, post},
    fault::{Fault, FaultAt},
    reason::SETTLEMENT_PENDING,
    verdict::{NotVerified, Settled},
};
use super::{BoxFuture, Facilitator, Payment, SettleError, Settlement, VerifyError};
use crate::{
    error::{BoxError, ConfigError, RejectReason},
    price::PriceOption,
    wire::{
        PaymentRequirements,
        facilitator::{FacilitatorRequest, SupportedKind, SupportedResponse},
    },
};

/// A facilitator reached over HTTP: verifies and settles without a node, keys or gas of one's own.
///
/// ```
/// use x402_core::facilitator::HttpFacilitator;
///
/// let facilitator = HttpFacilitator::new("https://pay.example/facilitator")?;
/// assert!(HttpFacilitator::new("http://pay.example").is_err(), "payments travel encrypted");
/// # Ok::<(), x402_core::error::ConfigError>(())
/// ```
///
/// # What it is trusted with
///
/// To move the money, and to say so. Its answers are held against the payment: one that names another
/// payer, network or amount, or a settlement without a transaction, is not believed and is logged as an error.
///
/// # What it is not given
///
/// Every request goes to the configured host itself: redirects are not followed, proxies of the environment
/// are not used, cookies are not kept. Plain http is for loopback only. An answer may have 1 MiB. Log lines and
/// errors name the origin and reason codes, never a path, a body or a signature.
///
/// # When it does not answer
///
/// Nothing is sent twice. A verification that brings no answer is [unavailable](VerifyError::Unavailable). A
/// settlement that brings none is [unresolved](SettleError::Unresolved) unless no connection was made: it may
/// have been sent to the chain. One exception is the protocol's own: a settlement told to be pending is
/// asked for again once, with the same body, a second later.
///
/// | call | limit | setter |
/// |---|---|---|
/// | connecting | 2 s | [`connect_timeout`](Self::connect_timeout) |
/// | `/verify`, `/supported` | 5 s | [`verify_timeout`](Self::verify_timeout) |
/// | `/settle` | 30 s | [`settle_timeout`](Self::settle_timeout) |
#[derive(Clone)]
pub struct HttpFacilitator {
    address: Address,
    tls: ClientConfig,
    client: Client,
    verify_timeout: Duration,
    settle_timeout: Duration,
}

impl HttpFacilitator {
    /// A facilitator at a base address, such as [`PUBLIC_TEST_FACILITATOR`]. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ConfigError`] when the address is not https (or http on loopback), carries a password, a query or a
    /// fragment, or when the system has no root certificates.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        let address = Address::parse(url)?;
        let tls = exchange::tls(&address)?;
        let client = exchange::client(tls.clone(), address.is_encrypted(), CONNECT_TIMEOUT);
        Ok(Self { address, tls, client, verify_timeout: VERIFY_TIMEOUT, settle_timeout: SETTLE_TIMEOUT })
    }

    /// The facilitator that the environment variable [`FACILITATOR_URL`] names, else the public test one.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the variable is empty or not text.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variable(env::var(FACILITATOR_URL))
    }

    /// How long a connection may take, TLS included; 2 seconds by default.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.client = exchange::client(self.tls.clone(), self.address.is_encrypted(), timeout);
        self
    }

    /// How long a verification may take, from connecting to the end of the answer; 5 seconds by default.
    #[must_use]
    pub const fn verify_timeout(mut self, timeout: Duration) -> Self {
        self.verify_timeout = timeout;
        self
    }

    /// How long a settlement may take, from connecting to the end of the answer; 30 seconds by default.
    ///
    /// Past it the outcome is unknown, so it should be longer than the facilitator waits for the chain.
    #[must_use]
    pub const fn settle_timeout(mut self, timeout: Duration) -> Self {
        self.settle_timeout = timeout;
        self
    }

    /// Scheme, host and port of the facilitator: what may be logged.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.address.origin()
    }

    /// Whether this facilitator is known not to serve one of the options, told from its name alone.
    ///
    /// The public test facilitator serves test networks only. Any other one is asked at start, by
    /// [`preflight`](Facilitator::preflight).
    ///
    /// # Errors
    /// [`ConfigError`] naming the option's network and what to do.
    pub fn serves_by_name(&self, options: &[PriceOption]) -> Result<(), ConfigError> {
        if !self.address.is_public_test() {
            return Ok(());
        }
        let foreign = options.iter().find(|option| !TEST_NETWORKS.contains(&option.network.as_str()));
        foreign.map_or(Ok(()), |option| {
            Err(ConfigError::new(
                "facilitator",
                format!(
                    "the public test facilitator serves {} only, not {}; \
                     set {FACILITATOR_URL}, or give the engine a facilitator of your own",
                    TEST_NETWORKS.join(" and "),
                    option.network
                ),
            ))
        })
    }

    fn from_variable(variable: Result<String, env::VarError>) -> Result<Self, ConfigError> {
        match variable {
            Ok(url) if url.trim().is_empty() => {
                Err(ConfigError::new(FACILITATOR_URL, "is empty; name a facilitator or unset it"))
            }
            Ok(url) => Self::new(&url),
            Err(env::VarError::NotPresent) => Self::new(PUBLIC_TEST_FACILITATOR),
            Err(error @ env::VarError::NotUnicode(_)) => {
                // The error's own words would repeat the value.
                drop(error);
                Err(ConfigError::new(FACILITATOR_URL, "is not text"))
            }
        }
    }

    async fn ask_to_verify(&self, payment: &Payment) -> Result<(), VerifyError> {
        let requirements = payment.requirements().ok_or_else(|| VerifyError::Rejected(unnamed_network()))?;
        let request = post(&self.client, &self.address, "verify", body(payment, &requirements));
        let answer = exchange(request, self.verify_timeout).await;
        match answer.map_err(NotVerified::Fault).and_then(|answer| verdict::verified(&answer, payment)) {
            Ok(()) => Ok(()),
            Err(NotVerified::Rejected(reason)) => Err(VerifyError::Rejected(reason)),
            Err(NotVerified::Fault(fault)) => Err(VerifyError::Unavailable(self.report(fault))),
        }
    }

    async fn ask_to_settle(&self, payment: &Payment) -> Result<Settlement, SettleError> {
        let Some(requirements) = payment.requirements() else {
            return Err(SettleError::Rejected { reason: unnamed_network(), transaction: None });
        };
        let body = body(payment, &requirements);
        match self.settle_once(body.clone(), payment, &requirements).await {
            Settled::Pending { transaction } => {
                tokio::time::sleep(REPEAT_AFTER).await;
                let again = self.settle_once(body, payment, &requirements).await;
                self.conclude(after_pending(again, transaction))
            }
            first => self.conclude(first),
        }
    }

    async fn settle_once(
        &self,
        body: Vec<u8>,
        payment: &Payment,
        requirements: &PaymentRequirements,
    ) -> Settled {
        let request = post(&self.client, &self.address, "settle", body);
        match exchange(request, self.settle_timeout).await {
            Ok(answer) => verdict::settled(&answer, payment, network_of(requirements)),
            Err(fault) => Settled::Unclear { transaction: None, fault },
        }
    }

    fn conclude(&self, settled: Settled) -> Result<Settlement, SettleError> {
        match settled {
            Settled::Moved(settlement) => Ok(settlement),
            Settled::Rejected { reason, transaction, fault } => {
                if let Some(fault) = fault {
                    self.report(fault);
                }
                Err(SettleError::Rejected { reason, transaction })
            }
            Settled::Unclear { transaction: None, fault } if fault.nothing_was_sent() => {
                Err(SettleError::Unavailable(self.report(fault)))
            }
            Settled::Unclear { transaction, fault } => {
                Err(SettleError::Unresolved { transaction, source: self.report(fault) })
            }
            Settled::Pending { transaction } => {
                let fault = Fault::Trouble(SETTLEMENT_PENDING.to_owned());
                Err(SettleError::Unresolved { transaction: Some(transaction), source: self.report(fault) })
            }
        }
    }

    async fn ask_what_it_supports(&self) -> Result<Vec<SupportedKind>, VerifyError> {
        let answer = exchange(get(&self.client, &self.address, "supported"), self.verify_timeout).await;
        let supported = answer.and_then(|answer: Answer| answer.result::<SupportedResponse>());
        supported.map(|response| response.kinds).map_err(|fault| VerifyError::Unavailable(self.report(fault)))
    }

    /// Makes an error of a fault, and tells the operator where only they can help.
    fn report(&self, fault: Fault) -> BoxError {
        if fault.needs_the_operator() {
            tracing::error!(facilitator = self.origin(), %fault, "facilitator's answer cannot be used");
        }
        Box::new(FaultAt { origin: self.origin().to_owned(), fault })
    }
}

impl Facilitator for HttpFacilitator {
    fn verify<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<(), VerifyError>> {
        Box::pin(self.ask_to_verify(payment))
    }

    fn settle<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Result<Settlement, SettleError>> {
        Box::pin(self.ask_to_settle(payment))
    }

    fn supported(&self) -> BoxFuture<'_, Result<Vec<SupportedKind>, VerifyError>> {
        Box::pin(self.ask_what_it_supports())
    }
}

impl fmt::Debug for HttpFacilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFacilitator")
            .field("address", &self.address)
            .field("verify_timeout", &self.verify_timeout)
            .field("settle_timeout", &self.settle_timeout)
            .finish_non_exhaustive()
    }
}

/// What is known after a settlement told to be pending was asked for again.
///
/// Once a transaction is known to be out, only its own failure is one: anything else leaves the question open.
fn after_pending(again: Settled, first: String) -> Settled {
    match again {
        Settled::Rejected { reason: RejectReason::NonceAlreadyUsed, fault, .. } => {
            Settled::Rejected { reason: RejectReason::NonceAlreadyUsed, transaction: Some(first), fault }
        }
        Settled::Rejected { reason, transaction, fault } if transaction.as_ref() != Some(&first) => {
            let fault = fault.unwrap_or_else(|| Fault::Trouble(reason.code().to_owned()));
            Settled::Unclear { transaction: Some(first), fault }
        }
        Settled::Unclear { transaction, fault } => {
            Settled::Unclear { transaction: Some(transaction.unwrap_or(first)), fault }
        }
        clear => clear,
    }
}

fn body(payment: &Payment, requirements: &PaymentRequirements) -> Vec<u8> {
    json(&FacilitatorRequest::new(&payment.presented.json, requirements))
}

fn json(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("messages are plain data")
}

/// The network in the dialect it was asked in.
fn network_of(requirements: &PaymentRequirements) -> &str {
    match requirements {
        PaymentRequirements::V1(terms) => &terms.network,
        PaymentRequirements::V2(terms) => &terms.network,
    }
}

/// A version 1 payment on a network that version 1 has no name for.
fn unnamed_network() -> RejectReason {
    RejectReason::Other("invalid_network".into())
}

/// The public facilitator of the protocol's makers: no account, [test networks](HttpFacilitator::serves_by_name) only.
pub const PUBLIC_TEST_FACILITATOR: &str = "https://x402.org/facilitator";
/// The environment variable that names a facilitator's base address.
pub const FACILITATOR_URL: &str = "X402_FACILITATOR_URL";

/// Base Sepolia and Solana devnet.
const TEST_NETWORKS: [&str; 2] = ["eip155:84532", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const VERIFY_TIMEOUT: Duration = Duration::from_secs(5);
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
const REPEAT_AFTER: Duration = Duration::from_secs(1);
