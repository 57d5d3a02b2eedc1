//! The URL: where the database is, how to get in, and what of it may be shown.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};
use x402_core::error::ConfigError;

use super::tls::{self, Connector};

/// A database, by its URL.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) connector: Connector,
    /// Where it is: no user, no password.
    pub(super) name: Arc<str>,
    /// Whether what is said to it can be read on the way.
    pub(super) is_open: bool,
}

impl Address {
    pub(super) fn parse(url: &str, patience: Duration) -> Result<Self, ConfigError> {
        let rest = SCHEMES.iter().find_map(|scheme| url.strip_prefix(scheme)).ok_or_else(|| wrong(SHAPE))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        // Of a password that is not encoded some part would be taken for a host, a database or an option, and be shown.
        if place.matches('@').count() > 1 || query.contains('@') {
            return Err(wrong(ENCODE));
        }
        let (mut mode, mut roots, mut others) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => roots = Some(value),
                _ => others.push(pair),
            }
        }
        let plain = format!("postgres://{place}?{}", others.join("&"));
        let mut config: Config = plain.parse().map_err(|error| unreadable(&error))?;
        let encrypted = match mode {
            None | Some("disable") => false,
            Some("require" | "verify-full") => true,
            Some(_) => return Err(wrong(MODES)),
        };
        if roots.is_some() && !encrypted {
            return Err(wrong("sslrootcert is for sslmode=verify-full, which is missing"));
        }
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        let connector = if encrypted { Connector::encrypted(tls::config(roots)?) } else { Connector::open() };
        settle(&mut config, patience);
        let is_open = !encrypted && !config.get_hosts().iter().all(is_here);
        Ok(Self { name: name(&config).into(), config, connector, is_open })
    }
}

/// What holds for every connection, unless the URL says otherwise.
fn settle(config: &mut Config, patience: Duration) {
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        config.host("localhost");
    }
    if config.get_application_name().is_none() {
        config.application_name("x402");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(patience);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(patience * 4);
    }
    config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(3);
    // Of several servers the one that takes writes.
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

fn name(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| match host {
        Host::Tcp(host) => format!("{host}:{}", port(index)),
        #[cfg(unix)]
        Host::Unix(folder) => folder.display().to_string(),
    });
    let hosts: Vec<_> = hosts.collect();
    match config.get_dbname() {
        Some(database) => format!("{}/{database}", hosts.join(",")),
        None => hosts.join(","),
    }
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(host) => {
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn wrong(problem: &str) -> ConfigError {
    ConfigError::new("PostgreSQL URL", problem)
}

/// The parser's reason names an option, never a value.
fn unreadable(error: &tokio_postgres::Error) -> ConfigError {
    let reason = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    ConfigError::new("PostgreSQL URL", format!("cannot be read ({reason}): {SHAPE}"))
}

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
const SHAPE: &str = "it looks like postgres://user:password@host:5432/database?sslmode=verify-full";
const ENCODE: &str =
    "has an @ too many: in user, password and options, write @ as %40, / as %2F, ? as %3F and : as %3A";
const MODES: &str = "sslmode is disable, require or verify-full; the last two are the same here: the server's \
                     certificate is always checked";
const DEFAULT_PORT: u16 = 5432;
const KEEPALIVE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, ConfigError> {
        Address::parse(url, Duration::from_secs(1))
    }

    #[test]
    fn an_address_is_shown_without_who_gets_in() {
        for (url, name, is_open) in [
            ("postgres://ann:secret@db.example.com/shop", "db.example.com:5432/shop", true),
            ("postgresql://ann:secret@127.0.0.1:5433/shop", "127.0.0.1:5433/shop", false),
            ("postgres://ann:s%40cret@one,two:5433/shop", "one:5432,two:5433/shop", true),
            ("postgres://ann@localhost", "localhost:5432", false),
            ("postgres:///shop?host=/run/postgresql", "/run/postgresql/shop", false),
            ("postgres://ann:secret@localhost/shop?application_name=till", "localhost:5432/shop", false),
        ] {
            let address = parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!((&*address.name, address.is_open), (name, is_open), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_secrets() {
        for (url, text) in [
            ("redis://ann:secret@localhost", "looks like postgres://"),
            ("ann:secret@localhost/shop", "looks like postgres://"),
            ("postgres://ann:se@secret@localhost/shop", "%40"),
            ("postgres://ann:se?secret@localhost/shop", "%40"),
            ("postgres://ann:secret@localhost:port/shop", "port"),
            ("postgres://ann:secret@localhost/shop?colour=red", "colour"),
            ("postgres://ann:secret@localhost/shop?sslmode=prefer", "disable, require or verify-full"),
            ("postgres://ann:secret@localhost/shop?sslrootcert=/ca.pem", "sslmode=verify-full"),
            ("postgres://ann:secret@localhost/shop?sslmode=require&sslrootcert=/no/ca.pem", "/no/ca.pem"),
        ] {
            let error = parse(url).map(|address| address.name).expect_err(url).to_string();
            assert!(error.contains(text) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
