use std::process::Command;

use super::Postgres;
use crate::ServiceError;

/// Databases and roles.
impl Postgres {
    /// Creates an empty database with a name of its own and gives its URL, for a superuser without a password.
    ///
    /// # Errors
    ///
    /// When the server refuses.
    pub fn database(&self) -> Result<String, ServiceError> {
        let name = format!("test_{}", self.next_database());
        self.sql(&self.url(MAINTENANCE), &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// The URL of a database for the superuser, such as that of `postgres`, which is always there.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ADMIN}@127.0.0.1:{}/{database}", self.port())
    }

    /// A database's URL for the role that must give its password, right or wrong. The role may do what everybody may.
    #[must_use]
    pub fn guarded_url(&self, url: &str, password: &str) -> String {
        url.replacen(&format!("//{ADMIN}@"), &format!("//{GUARDED}:{password}@"), 1)
    }

    /// Runs SQL with `psql` and gives what it prints: a row per line, columns between `|`.
    ///
    /// # Errors
    ///
    /// When the server does not answer, or a statement fails.
    pub fn sql(&self, url: &str, text: &str) -> Result<String, ServiceError> {
        let mut psql = Command::new(Self::program("psql")?);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                psql.env_remove(name);
            }
        }
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password"]);
        psql.args(["--set", "ON_ERROR_STOP=1", "--dbname", url, "--command", text]);
        let output = psql.output().map_err(ServiceError::io("starting psql"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        } else {
            let answer = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let command = text.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
            Err(ServiceError::Refused { command, answer })
        }
    }

    pub(super) fn with_roles(self) -> Result<Self, ServiceError> {
        let create = format!("CREATE ROLE {GUARDED} LOGIN PASSWORD '{}'", Self::PASSWORD);
        self.sql(&self.url(MAINTENANCE), &create)?;
        Ok(self)
    }

    /// The right one for [`guarded_url`](Self::guarded_url).
    pub const PASSWORD: &str = "correct-horse";
}

pub(super) const ADMIN: &str = "x402";
const GUARDED: &str = "guarded";
const MAINTENANCE: &str = "postgres";
/// `pg_hba.conf`: first match decides.
pub(super) const ACCESS: &str = "host all guarded 127.0.0.1/32 scram-sha-256
local all all trust
host all all 127.0.0.1/32 trust
";
