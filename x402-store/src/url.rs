//! One text for every store.

use std::{fmt, str::FromStr, sync::Arc};

use x402_core::{error::ConfigError, order::OrderStore};

/// Where orders are kept, as one text: for configuration files, environment variables and command lines.
///
/// | text | store | feature |
/// |---|---|---|
/// | `memory:` | [`MemoryStore`](x402_core::order::MemoryStore) | `memory` |
/// | `sqlite:FILE` | `SqliteStore` | `sqlite` |
/// | `redis://HOST:PORT`, `rediss://..`; several with commas between them for a cluster | `RedisStore` | `redis` |
/// | `postgres://USER:PASSWORD@HOST/DATABASE`, `postgresql://..` | `PostgresStore` | `postgres` |
///
/// It may have a password in it: it is shown, and written in errors, without.
///
/// ```
/// use x402_store::StoreUrl;
///
/// let url: StoreUrl = "postgres://shop:secret@db.example.com/orders".parse()?;
/// assert_eq!(url.to_string(), "postgres://db.example.com/orders");
/// assert!("mysql://shop:secret@db.example.com/orders".parse::<StoreUrl>().is_err());
/// # Ok::<(), x402_core::error::ConfigError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct StoreUrl {
    kind: Kind,
    text: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Memory,
    Sqlite,
    Redis,
    Postgres,
}

impl StoreUrl {
    /// Opens the store. What it needs (a file, tables) is made if it is not there.
    ///
    /// # Errors
    /// [`ConfigError`] naming the feature that is off, or what is wrong with the store and what to do. It never has a
    /// password in it.
    pub async fn connect(&self) -> Result<Arc<dyn OrderStore>, ConfigError> {
        match self.kind {
            Kind::Memory => memory(),
            Kind::Sqlite => sqlite(self.path()).await,
            Kind::Redis => redis(&self.text).await,
            Kind::Postgres => postgres(&self.text, true).await,
        }
    }

    /// Opens a store that is there: makes neither a file nor tables.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); besides, where there is nothing to open, as in `memory:`, which nobody can look into
    /// from outside.
    pub async fn connect_existing(&self) -> Result<Arc<dyn OrderStore>, ConfigError> {
        match self.kind {
            Kind::Memory => Err(self.wrong("orders in memory can be seen by their own process only")),
            Kind::Sqlite => {
                let there = std::fs::metadata(self.path()).map(|file| !file.is_file() || file.len() > 0);
                match there {
                    Ok(true) => sqlite(self.path()).await,
                    Ok(false) => Err(self.wrong("the file is empty, and was left so")),
                    Err(error) => {
                        let problem = format!("no such file, and none was made: {error}");
                        Err(self.wrong(&problem).with_source(error))
                    }
                }
            }
            Kind::Redis => redis(&self.text).await,
            Kind::Postgres => postgres(&self.text, false).await,
        }
    }

    /// The file of `sqlite:FILE`; `sqlite://FILE` is taken as well.
    fn path(&self) -> &str {
        let path = self.text.split_once(':').map_or("", |(_, path)| path);
        path.strip_prefix("//").unwrap_or(path)
    }

    fn wrong(&self, problem: &str) -> ConfigError {
        ConfigError::new(format!("store {self}"), problem)
    }
}

impl FromStr for StoreUrl {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        let wrong = |problem: &str| Err(ConfigError::new("store URL", format!("{problem}; wanted {KNOWN}")));
        let kind = match text.split_once(':') {
            Some(("memory", "")) => Kind::Memory,
            Some(("sqlite", file)) if !file.trim_start_matches('/').is_empty() => Kind::Sqlite,
            Some(("redis" | "rediss", rest)) if rest.starts_with("//") => Kind::Redis,
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => Kind::Postgres,
            Some(("memory", _)) => return wrong("memory: takes nothing more"),
            Some(("sqlite", _)) => return wrong("sqlite: names no file"),
            Some(("redis" | "rediss" | "postgres" | "postgresql", _)) => {
                return wrong("`//` is missing behind its scheme");
            }
            // What stands there may be a secret; a scheme is not.
            Some((scheme, rest)) if rest.starts_with("//") && is_scheme(scheme) => {
                return wrong(&format!("no store has the scheme `{scheme}`"));
            }
            _ => return wrong("it has no scheme that is known"),
        };
        Ok(Self { kind, text: text.to_owned() })
    }
}

/// Without user, password and options.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Several nodes have a URL each; the hosts of a database have one together, in which a comma may be the password's.
        let urls: Vec<_> = match self.kind {
            Kind::Memory | Kind::Sqlite => return f.write_str(&self.text),
            Kind::Redis => self.text.split(',').map(|url| url.split_once("//")).collect(),
            Kind::Postgres => vec![self.text.split_once("//")],
        };
        let are_whole = urls.iter().all(Option::is_some);
        for (index, (scheme, rest)) in urls.into_iter().flatten().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{scheme}//{}", if are_whole { place(rest) } else { ".." })?;
        }
        Ok(())
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

/// Host, port and database. Where it cannot be told what is a password, nothing.
fn place(rest: &str) -> &str {
    match (rest.rfind('@'), rest.find('?')) {
        (Some(at), Some(options)) if options < at => "..",
        (Some(at), options) => &rest[at + 1..options.unwrap_or(rest.len())],
        (None, options) => &rest[..options.unwrap_or(rest.len())],
    }
}

fn is_scheme(text: &str) -> bool {
    text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
}

#[cfg(feature = "memory")]
#[allow(clippy::unnecessary_wraps, reason = "fails without the feature")]
fn memory() -> Result<Arc<dyn OrderStore>, ConfigError> {
    Ok(Arc::new(x402_core::order::MemoryStore::new()))
}

#[cfg(not(feature = "memory"))]
fn memory() -> Result<Arc<dyn OrderStore>, ConfigError> {
    Err(switched_off("memory"))
}

#[cfg(feature = "sqlite")]
async fn sqlite(path: &str) -> Result<Arc<dyn OrderStore>, ConfigError> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || crate::SqliteStore::open(path)).await;
    Ok(Arc::new(opened.expect("opening a file does not panic")?))
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(_: &str) -> Result<Arc<dyn OrderStore>, ConfigError> {
    Err(switched_off("sqlite"))
}

#[cfg(feature = "redis")]
async fn redis(url: &str) -> Result<Arc<dyn OrderStore>, ConfigError> {
    Ok(Arc::new(crate::RedisStore::connect(url).await?))
}

#[cfg(not(feature = "redis"))]
async fn redis(_: &str) -> Result<Arc<dyn OrderStore>, ConfigError> {
    Err(switched_off("redis"))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str, may_create: bool) -> Result<Arc<dyn OrderStore>, ConfigError> {
    Ok(Arc::new(crate::PostgresStore::builder(url).may_create(may_create).connect().await?))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_: &str, _: bool) -> Result<Arc<dyn OrderStore>, ConfigError> {
    Err(switched_off("postgres"))
}

#[cfg(not(all(feature = "memory", feature = "sqlite", feature = "redis", feature = "postgres")))]
fn switched_off(feature: &str) -> ConfigError {
    let problem =
        format!("this program was built without it; switch on the feature `{feature}` of x402-store");
    ConfigError::new(format!("{feature} store"), problem)
}

const KNOWN: &str = "memory:, sqlite:FILE, redis://HOST:PORT (several with commas for a cluster), rediss://.. or \
                     postgres://USER:PASSWORD@HOST/DATABASE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_who_gets_in() {
        for (text, shown) in [
            ("memory:", "memory:"),
            ("sqlite:payments.db", "sqlite:payments.db"),
            (" sqlite:/var/lib/x402/payments.db\n", "sqlite:/var/lib/x402/payments.db"),
            ("redis://localhost:6379", "redis://localhost:6379"),
            ("rediss://:hidden@one:6379/2?x=hidden", "rediss://one:6379/2"),
            ("redis://u:hidden@one:1,redis://u:hidden@two:2", "redis://one:1,redis://two:2"),
            ("redis://u:hidden@one:1,u:hidden@two:2", "redis://.."),
            ("redis://u:hid,den@one:1", "redis://.."),
            ("redis://one:1?x=hid,den", "redis://.."),
            ("postgres://u:hidden@db/shop?password=hidden", "postgres://db/shop"),
            ("postgresql://u:hid@hidden@db:5432/shop", "postgresql://db:5432/shop"),
            ("postgres://u:hid,den@one:1,two:2/shop", "postgres://one:1,two:2/shop"),
            ("postgres://db/shop?password=hid,den", "postgres://db/shop"),
            ("postgres://u:hid?hidden@db/shop", "postgres://.."),
            ("postgres://db/shop?password=hid@hidden", "postgres://.."),
        ] {
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("StoreUrl({shown})"));
        }
    }

    #[test]
    fn what_is_no_store_is_told_without_its_secrets() {
        for (text, wanted) in [
            ("", "no scheme"),
            ("payments.db", "no scheme"),
            ("u:hidden@db/shop", "no scheme"),
            ("mysql://u:hidden@db/shop", "`mysql`"),
            ("postgres:u:hidden@db/shop", "`//`"),
            ("redis:6379", "`//`"),
            ("sqlite:", "no file"),
            ("sqlite://", "no file"),
            ("memory:hidden", "nothing more"),
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(error.contains(wanted) && !error.contains("hidden"), "{text}: {error}");
            assert!(error.contains("sqlite:FILE"), "{error}");
        }
    }

    #[tokio::test]
    async fn looking_into_a_store_makes_none() {
        let folder = std::env::temp_dir().join(format!("x402-store-url-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (absent, empty) = (folder.join("absent.db"), folder.join("empty.db"));
        std::fs::write(&empty, b"").unwrap();
        for (text, wanted) in [
            ("memory:".to_owned(), "own process"),
            (format!("sqlite:{}", absent.display()), "no such file"),
            (format!("sqlite:{}", empty.display()), "empty"),
        ] {
            let error = text.parse::<StoreUrl>().unwrap().connect_existing().await.err().unwrap().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
        assert!(!absent.exists());
        assert_eq!(std::fs::metadata(&empty).unwrap().len(), 0);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
