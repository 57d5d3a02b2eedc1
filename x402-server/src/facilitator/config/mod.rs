//! The file of `x402 facilitator`.

mod file;
mod network;
mod open;
mod place;

use std::{env, fmt, fs, net::SocketAddr, path::Path, time::Duration};

use toml::Spanned;
use x402_core::error::ConfigError;
use zeroize::Zeroizing;

pub use self::open::Opened;
use self::{
    file::{CallerTable, File},
    network::NetworkConfig,
    place::Text,
};
use super::Callers;

/// What `x402 facilitator` runs from: a TOML file, read and checked as far as that goes without asking anybody.
///
/// ```toml
#[doc = include_str!("../../../examples/facilitator.toml")]
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct FacilitatorConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to serve metrics, if anywhere.
    pub metrics: Option<SocketAddr>,
    callers: Callers,
    most: Option<u32>,
    gas_check: Duration,
    networks: Vec<NetworkConfig>,
}

impl FacilitatorConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`] with line and key, and what to do.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let name = path.as_ref().display().to_string();
        let text = fs::read_to_string(&path).map_err(|error| {
            ConfigError::new(&name, "cannot be read; check the path after --config").with_source(error)
        })?;
        Self::parse(&name, &text)
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// As for [`load`](Self::load); `name` is how the errors call the file.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let text = Text { name, text };
        let file: File = toml::from_str(text.text).map_err(|error| text.unreadable(&error))?;
        let callers = callers(text, &file.caller)?;
        let listen = address(text, "listen", &file.listen)?;
        if !listen.ip().is_loopback() && callers.are_everybody() && !file.open {
            let problem = "lets everybody on the network have this server pay gas for them; name callers \
                 ([[caller]] token_sha256 = ..), listen on 127.0.0.1, or say open = true";
            return Err(text.wrong("listen", &file.listen, problem));
        }
        if let Some(most) = &file.max_in_flight
            && !(1..=MOST_IN_FLIGHT).contains(most.get_ref())
        {
            return Err(text.wrong("max_in_flight", most, format!("wanted 1 to {MOST_IN_FLIGHT}")));
        }
        let gas_check = seconds(text, "gas_check_seconds", file.gas_check_seconds.as_ref(), 30)?;
        let metrics = file.metrics.as_ref().map(|value| address(text, "metrics", value)).transpose()?;
        if file.network.is_empty() {
            return Err(ConfigError::new(name, "has no [[network]]; name at least one to settle on"));
        }
        let mut networks: Vec<NetworkConfig> = Vec::new();
        for table in &file.network {
            let network = NetworkConfig::read(text, table.get_ref())?;
            if networks.iter().any(|other| other.id == network.id) {
                return Err(text.wrong(
                    "id",
                    &table.get_ref().id,
                    "is there twice; one gas account each is enough",
                ));
            }
            networks.push(network);
        }
        let most = file.max_in_flight.map(Spanned::into_inner);
        Ok(Self { listen, metrics, callers, most, gas_check, networks })
    }

    /// Whether everybody may ask.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.callers.are_everybody()
    }
}

fn address(text: Text<'_>, key: &str, value: &Spanned<String>) -> Result<SocketAddr, ConfigError> {
    let wrong = |_| text.wrong(key, value, "wanted an address and a port, as in \"127.0.0.1:4020\"");
    value.get_ref().parse().map_err(wrong)
}

/// A time that is neither nothing nor an evening.
fn seconds(
    text: Text<'_>,
    key: &str,
    value: Option<&Spanned<u64>>,
    default: u64,
) -> Result<Duration, ConfigError> {
    let Some(value) = value else { return Ok(Duration::from_secs(default)) };
    if !(1..=LONGEST).contains(value.get_ref()) {
        return Err(text.wrong(key, value, format!("wanted 1 to {LONGEST} seconds")));
    }
    Ok(Duration::from_secs(*value.get_ref()))
}

fn callers(text: Text<'_>, tables: &[CallerTable]) -> Result<Callers, ConfigError> {
    tables.iter().try_fold(Callers::everybody(), |callers, table| {
        match (&table.token_sha256, &table.token_env) {
            (Some(digest), None) => {
                let wrong = || {
                    let problem = "wanted 64 hexadecimal digits: printf %s \"$TOKEN\" | sha256sum";
                    text.wrong("token_sha256", digest, problem)
                };
                let token = hex(digest.get_ref()).ok_or_else(wrong)?;
                if token == Callers::OF_NOTHING {
                    return Err(text.wrong(
                        "token_sha256",
                        digest,
                        "is the digest of nothing; was TOKEN set?",
                    ));
                }
                Ok(callers.token_sha256(token))
            }
            (None, Some(variable)) => {
                let at = || text.at("token_env", variable);
                let name = variable.get_ref();
                let token = env::var(name).map(Zeroizing::new);
                let token =
                    token.map_err(|_| ConfigError::new(at(), format!("{name} is not set, or not text")))?;
                callers.token(token.trim()).map_err(|error| ConfigError::new(at(), error.to_string()))
            }
            (Some(value), Some(_)) => {
                Err(text.wrong("caller", value, "has token_sha256 and token_env; keep one"))
            }
            (None, None) => Err(ConfigError::new(
                format!("{}, caller", text.name),
                "has no token_sha256 and no token_env",
            )),
        }
    })
}

fn hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(bytes)
}

impl fmt::Debug for FacilitatorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FacilitatorConfig")
            .field("listen", &self.listen)
            .field("callers", &self.callers)
            .field("networks", &self.networks)
            .finish_non_exhaustive()
    }
}

const MOST_IN_FLIGHT: u32 = 65_536;
const LONGEST: u64 = 3_600;

#[cfg(test)]
mod tests;
