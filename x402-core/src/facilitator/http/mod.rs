//! A remote facilitator over HTTP.

mod address;
mod ask;
mod auth;
mod cache;
mod call;
mod exchange;
mod fault;
mod guard;
mod reason;
mod retry_after;
mod verdict;

use std::{env, fmt, sync::Arc, time::Duration};

use reqwest::Client;
use rustls::ClientConfig;

pub use self::auth::{AuthHeaders, Authenticate, FacilitatorCall, FacilitatorEndpoint};
use self::{address::Address, cache::Cache, guard::Guard};
use super::BreakerLimits;
use crate::{error::ConfigError, price::PriceOption};

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
/// A verification that brings no answer is [unavailable](super::VerifyError::Unavailable). One that makes no connection
/// is tried twice more, after a pause of 50 to 250 ms, within the same limit: nothing was sent. A
/// settlement that brings no answer is [unresolved](super::SettleError::Unresolved) unless no connection was made: it may
/// have been sent to the chain. It is never sent again, with one exception, the protocol's own: a settlement told to be
/// pending is asked for once more, with the same body, a second later.
///
/// After five calls in a row that brought no answer the facilitator is left alone for ten seconds, then tried with one
/// call, then left alone for twice as long, up to a minute ([`BreakerLimits`]). Meanwhile it is unavailable at once. A
/// refusal is an answer. The gauge [`FACILITATOR_BREAKER`](crate::telemetry::FACILITATOR_BREAKER) shows it, and
/// each change is a line in the log.
///
/// What it supports is asked at start and for probes: kept for five minutes, and up to an hour while it is asked again.
/// All who ask at once wait for one answer. `Retry-After` is obeyed, up to 30 seconds, twice.
///
/// | call | limit | setter |
/// |---|---|---|
/// | connecting | 2 s | [`connect_timeout`](Self::connect_timeout) |
/// | `/verify`, `/supported` | 5 s | [`verify_timeout`](Self::verify_timeout) |
/// | `/settle` | 30 s | [`settle_timeout`](Self::settle_timeout) |
///
/// Clones share what is known of the facilitator, and its breaker.
#[derive(Clone)]
pub struct HttpFacilitator {
    address: Address,
    tls: ClientConfig,
    client: Client,
    verify_timeout: Duration,
    settle_timeout: Duration,
    authenticate: Option<Arc<dyn Authenticate>>,
    guard: Arc<Guard>,
    cache: Arc<Cache>,
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
        let guard = Guard::new(BreakerLimits::new(), address.origin().to_owned());
        Ok(Self {
            address,
            tls,
            client,
            verify_timeout: VERIFY_TIMEOUT,
            settle_timeout: SETTLE_TIMEOUT,
            authenticate: None,
            guard: Arc::new(guard),
            cache: Arc::default(),
        })
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

    /// Makes credentials for each call. See [`Authenticate`] for an example.
    #[must_use]
    pub fn authenticate(mut self, authenticate: impl Authenticate + 'static) -> Self {
        self.authenticate = Some(Arc::new(authenticate));
        self
    }

    /// When the facilitator is left alone. Default: after five faults in a row, for ten seconds and more.
    #[must_use]
    pub fn breaker(mut self, limits: BreakerLimits) -> Self {
        self.guard = Arc::new(Guard::new(limits, self.address.origin().to_owned()));
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
    /// [`preflight`](super::Facilitator::preflight).
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
            // The error's own words would repeat the value.
            Err(env::VarError::NotUnicode(_)) => Err(ConfigError::new(FACILITATOR_URL, "is not text")),
        }
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

/// The public facilitator of the protocol's makers: no account, [test networks](HttpFacilitator::serves_by_name) only.
pub const PUBLIC_TEST_FACILITATOR: &str = "https://x402.org/facilitator";
/// The environment variable that names a facilitator's base address.
pub const FACILITATOR_URL: &str = "X402_FACILITATOR_URL";

/// Base Sepolia and Solana devnet.
const TEST_NETWORKS: [&str; 2] = ["eip155:84532", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const VERIFY_TIMEOUT: Duration = Duration::from_secs(5);
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
