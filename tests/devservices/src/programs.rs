use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
};

/// A program that is not installed. Its text says what to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Missing {
    program: &'static str,
    package: &'static str,
}

impl Missing {
    /// Debian's package that brings the program.
    #[must_use]
    pub const fn package(&self) -> &'static str {
        self.package
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, package } = self;
        write!(f, "{program} is missing: apt-get install {package}, or run cargo xtask services install")
    }
}

/// The programs this crate starts that are not installed.
#[must_use]
pub fn missing() -> Vec<Missing> {
    [redis_server().err(), postgres_folder().err()].into_iter().flatten().collect()
}

pub(crate) fn redis_server() -> Result<PathBuf, Missing> {
    on_path("redis-server").ok_or(Missing { program: "redis-server", package: "redis-server" })
}

/// The folder of `postgres`, `initdb` and `psql`: 15 if it is there, else the newest one, else the one on the path.
pub(crate) fn postgres_folder() -> Result<PathBuf, Missing> {
    let mut versions: Vec<u32> = fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by_key(|version| (*version != PREFERRED, u32::MAX - version));
    let installed =
        versions.into_iter().map(|version| Path::new(DEBIAN).join(version.to_string()).join("bin"));
    installed
        .chain(on_path("postgres").and_then(|link| Some(link.canonicalize().ok()?.parent()?.to_path_buf())))
        .find(|folder| ["postgres", "initdb", "psql"].iter().all(|name| folder.join(name).exists()))
        .ok_or(Missing { program: "postgres", package: "postgresql-15" })
}

/// Looks where the path may not lead, too.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/bin", "/usr/local/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

const DEBIAN: &str = "/usr/lib/postgresql";
const PREFERRED: u32 = 15;

#[cfg(test)]
mod tests {
    use super::Missing;

    #[test]
    fn missing_program_names_its_package_and_our_command() {
        let text = Missing { program: "redis-server", package: "redis-server" }.to_string();
        assert_eq!(
            text,
            "redis-server is missing: apt-get install redis-server, or run cargo xtask services install"
        );
    }
}
