//! The environment, read once; every mistake is one line that names its variable.

use std::{env, error::Error, fmt, path::PathBuf, sync::Arc, time::Duration};

use x402_core::{
    Engine, EngineBuilder, SettleTiming, error::ConfigError, facilitator::HttpFacilitator, quote::QuoteKey,
};
use x402_evm::{EvmFacilitator, EvmWitness, ExactEvm, FileJournal, GasKey};
use x402_store::StoreUrl;

use crate::{
    crash::{Crash, CrashingJournal, CrashingSettler, CrashingStore},
    routes,
    veto::VetoAt,
};

/// What the environment says.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) port: u16,
    pub(crate) framework: Framework,
    pub(crate) delivery_log: Option<PathBuf>,
    origin: Option<String>,
    pay_to: String,
    upto_settler: Option<String>,
    settler: Settler,
    settle: SettleTiming,
    defer_over_forgetful_store: bool,
    quote_key: Option<QuoteKey>,
    store: StoreUrl,
    journal: Option<PathBuf>,
    resolve_within: Option<Duration>,
    ask_at_start: bool,
    veto: Option<VetoAt>,
    /// Where in a payment this process dies.
    pub(crate) crash: Crash,
}

/// Through which adapter requests come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framework {
    Axum,
    Tower,
    Actix,
}

/// Who moves the money.
#[derive(Debug)]
enum Settler {
    Node { url: String, gas_key: GasKey },
    Facilitator(Remote),
}

/// A facilitator somewhere else, and what of its word is checked here.
#[derive(Debug)]
struct Remote {
    url: String,
    settle_within: Option<Duration>,
    witness_url: Option<String>,
    checks_signatures: bool,
}

impl Config {
    pub(crate) fn from_env() -> Result<Self, Mistake> {
        Ok(Self {
            port: read("PORT")?
                .map_or(Ok(0), |port| port.parse())
                .map_err(|error| Mistake::new("PORT", format!("is not a port: {error}")))?,
            framework: match read("FRAMEWORK")?.as_deref() {
                None | Some("axum") => Framework::Axum,
                Some("tower") => Framework::Tower,
                Some("actix") => Framework::Actix,
                Some(other) => {
                    return Err(Mistake::new(
                        "FRAMEWORK",
                        format!("is {other:?}, wanted axum, tower or actix"),
                    ));
                }
            },
            delivery_log: read("DELIVERY_LOG")?.map(PathBuf::from),
            origin: read("ORIGIN")?,
            pay_to: read("PAY_TO")?
                .ok_or_else(|| Mistake::new("PAY_TO", "is missing: the address that is paid"))?,
            upto_settler: read("UPTO_SETTLER")?,
            settler: Settler::from_env()?,
            settle: match read("SETTLE")?.as_deref() {
                None | Some("after") => SettleTiming::AfterHandler,
                Some("before") => SettleTiming::BeforeHandler,
                Some("deferred") => SettleTiming::Deferred,
                Some(other) => {
                    let problem = format!("is {other:?}, wanted after, before or deferred");
                    return Err(Mistake::new("SETTLE", problem));
                }
            },
            resolve_within: seconds("RESOLVE_WITHIN")?,
            ask_at_start: yes("ASK_AT_START")?,
            defer_over_forgetful_store: yes(DEFER)?,
            quote_key: read("QUOTE_KEY")?
                .map(|text| QuoteKey::from_hex(&text))
                .transpose()
                .map_err(|error| Mistake::new("QUOTE_KEY", error))?,
            store: read("STORE_URL")?
                .map_or_else(|| "memory:".parse(), |url| url.parse())
                .map_err(|error| Mistake::new("STORE_URL", error))?,
            journal: read("JOURNAL")?.map(PathBuf::from),
            veto: read("VETO_AT")?
                .map(|step| {
                    VetoAt::named(&step).ok_or_else(|| Mistake::new("VETO_AT", "is no step of a payment"))
                })
                .transpose()?,
            crash: read("CRASH_AT")?
                .map(|step| Crash::named(&step))
                .transpose()
                .map_err(|problem| Mistake::new("CRASH_AT", problem))?
                .unwrap_or_default(),
        })
    }

    /// The engine; `url` is where the server listens.
    pub(crate) async fn engine(self, url: &str) -> Result<Engine, Mistake> {
        let origin = self.origin.as_deref().unwrap_or(url);
        let prices = routes::prices(origin, &self.pay_to, self.upto_settler.as_deref())
            .map_err(|error| Mistake::new("ORIGIN, PAY_TO or UPTO_SETTLER", error))?;
        let mut store = self.store.connect().await.map_err(|error| Mistake::new("STORE_URL", error))?;
        let crash = self.crash;
        if crash.is_wanted() {
            store = Arc::new(CrashingStore { inner: store, crash });
        }
        if store.is_shared() && self.quote_key.is_none() {
            return Err(Mistake::new("QUOTE_KEY", "is missing: instances that share a store share a key"));
        }
        if self.settle == SettleTiming::Deferred && store.may_forget() && !self.defer_over_forgetful_store {
            let problem =
                format!("is deferred over a store that may forget: take another, or set {DEFER}=yes");
            return Err(Mistake::new("SETTLE", problem));
        }
        let mut builder = Engine::builder(prices).settle(self.settle).store(store);
        if let Some(length) = self.resolve_within {
            builder = builder.resolve_within(length);
        }
        if self.defer_over_forgetful_store {
            builder = builder.dangerous_defer_over_forgetful_store();
        }
        if let Some(veto) = self.veto {
            builder = builder.hooks(veto);
        }
        if let Some(key) = self.quote_key {
            builder = builder.quote_key(key);
        }
        match self.settler {
            Settler::Node { url, gas_key } => {
                let mut facilitator =
                    EvmFacilitator::new(&url, gas_key).map_err(|error| Mistake::new("RPC_URL", error))?;
                if let Some(file) = self.journal {
                    let inner = FileJournal::open(file).map_err(|error| Mistake::new("JOURNAL", error))?;
                    facilitator = facilitator.journal(CrashingJournal { inner, crash });
                }
                let builder = builder.facilitator(CrashingSettler { inner: facilitator, crash });
                if self.ask_at_start {
                    return builder.start().await.map_err(|error| Mistake::new("RPC_URL", error));
                }
                let engine = build(builder)?;
                engine.preflight().await.map_err(|error| Mistake::new("RPC_URL", error))?;
                Ok(engine)
            }
            Settler::Facilitator(remote) => {
                let builder = remote.join(builder)?;
                if self.ask_at_start {
                    return builder.start().await.map_err(|error| Mistake::new("FACILITATOR_URL", error));
                }
                let engine = build(builder)?;
                // One that comes up later than we do is no mistake.
                if let Err(error) = engine.preflight().await {
                    tracing::warn!(%error, "facilitator not asked at start");
                }
                Ok(engine)
            }
        }
    }
}

impl Settler {
    fn from_env() -> Result<Self, Mistake> {
        match (read("RPC_URL")?, read("FACILITATOR_URL")?) {
            (Some(url), None) => {
                let gas_key =
                    GasKey::from_env("SIGNER_KEY").map_err(|error| Mistake::new("SIGNER_KEY", error))?;
                Ok(Self::Node { url, gas_key })
            }
            (None, Some(url)) => Ok(Self::Facilitator(Remote::from_env(url)?)),
            (Some(_), Some(_)) => {
                Err(Mistake::new("FACILITATOR_URL", "is set beside RPC_URL: settle in one way"))
            }
            (None, None) => {
                Err(Mistake::new("RPC_URL", "is missing: set it and SIGNER_KEY, or set FACILITATOR_URL"))
            }
        }
    }
}

impl Remote {
    fn from_env(url: String) -> Result<Self, Mistake> {
        Ok(Self {
            url,
            settle_within: seconds("SETTLE_WITHIN")?,
            witness_url: read("WITNESS_URL")?,
            checks_signatures: match read("SIGNATURES")?.as_deref() {
                None | Some("here") => true,
                Some("facilitator") => false,
                Some(other) => {
                    return Err(Mistake::new(
                        "SIGNATURES",
                        format!("is {other:?}, wanted here or facilitator"),
                    ));
                }
            },
        })
    }

    fn join(self, builder: EngineBuilder) -> Result<EngineBuilder, Mistake> {
        let mut facilitator =
            HttpFacilitator::new(&self.url).map_err(|error| Mistake::new("FACILITATOR_URL", error))?;
        if let Some(length) = self.settle_within {
            facilitator = facilitator.settle_timeout(length);
        }
        let mut builder = builder.facilitator(facilitator);
        if self.checks_signatures {
            // A facilitator's yes is not taken for a good signature.
            builder = builder.scheme(ExactEvm::new());
        }
        if let Some(url) = self.witness_url {
            let witness = EvmWitness::new(&url).map_err(|error| Mistake::new("WITNESS_URL", error))?;
            builder = builder.witness(witness);
        }
        Ok(builder)
    }
}

fn build(builder: EngineBuilder) -> Result<Engine, Mistake> {
    builder.build().map_err(|error: ConfigError| Mistake::new("environment", error))
}

fn seconds(variable: &'static str) -> Result<Option<Duration>, Mistake> {
    let length = read(variable)?.map(|text| text.parse().map(Duration::from_secs)).transpose();
    length.map_err(|error| Mistake::new(variable, format!("is no number of seconds: {error}")))
}

fn yes(variable: &'static str) -> Result<bool, Mistake> {
    match read(variable)?.as_deref() {
        None => Ok(false),
        Some("yes") => Ok(true),
        Some(other) => Err(Mistake::new(variable, format!("is {other:?}, wanted yes"))),
    }
}

fn read(variable: &'static str) -> Result<Option<String>, Mistake> {
    match env::var(variable) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Mistake::new(variable, "is not text")),
    }
}

/// What is wrong with the environment.
#[derive(Debug)]
pub(crate) struct Mistake {
    variable: &'static str,
    problem: String,
}

impl Mistake {
    fn new(variable: &'static str, problem: impl fmt::Display) -> Self {
        Self { variable, problem: problem.to_string() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.problem)
    }
}

impl Error for Mistake {}

const DEFER: &str = "DEFER_OVER_FORGETFUL_STORE";
