//! What cargo says about this workspace.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{BoxError, job};

/// The folder of the root `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands in the workspace")
}

/// A cargo command in the workspace's folder.
pub(crate) fn cargo<I: IntoIterator<Item: AsRef<OsStr>>>(arguments: I) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    // What cargo tells us about our package would be told to build scripts too, and what they build be built anew.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| OF_OUR_PACKAGE.iter().any(|of_ours| name.starts_with(of_ours))) {
            command.env_remove(name);
        }
    }
    // Of 8 GB that a gate wrote, 4.5 were for incremental builds, and there nothing is built again.
    if env::var_os("CI").is_some() && env::var_os(INCREMENTAL).is_none() {
        command.env(INCREMENTAL, "0");
    }
    command
}

/// `cargo metadata` of the members, without their dependencies.
#[derive(Debug)]
pub(crate) struct Metadata(Value);

impl Metadata {
    pub(crate) fn read() -> Result<Self, BoxError> {
        let text = job::capture(&mut cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
        Ok(Self(serde_json::from_str(&text)?))
    }

    /// Where cargo builds to.
    pub(crate) fn target(&self) -> PathBuf {
        self.0["target_directory"].as_str().expect("cargo names its target directory").into()
    }

    /// The features of a member, `default` aside.
    pub(crate) fn features(&self, package: &str) -> Result<Vec<&str>, BoxError> {
        let found = self.packages().find(|found| found["name"] == package);
        let found = found.ok_or_else(|| format!("the workspace has no package {package}"))?;
        let features = found["features"].as_object().expect("cargo lists features");
        Ok(features.keys().map(String::as_str).filter(|name| *name != "default").collect())
    }

    /// The members that are published: `publish = false` reads as an empty list of registries.
    pub(crate) fn published(&self) -> impl Iterator<Item = &str> {
        let published = self.packages().filter(|package| package["publish"].is_null());
        published.map(|package| package["name"].as_str().expect("a package has a name"))
    }

    fn packages(&self) -> impl Iterator<Item = &Value> {
        self.0["packages"].as_array().into_iter().flatten()
    }
}

const OF_OUR_PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];
const INCREMENTAL: &str = "CARGO_INCREMENTAL";
