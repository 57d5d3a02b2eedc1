//! Cargo tools at fixed versions, in `target/tools`.

use std::{env::consts::EXE_EXTENSION, process::Command};

use crate::{
    BoxError, job,
    workspace::{Metadata, cargo, root},
};

/// A cargo subcommand that is not part of cargo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
}

pub(crate) const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2" };
pub(crate) const FUZZ: Tool = Tool { name: "cargo-fuzz", version: "0.13.2" };

impl Tool {
    /// A command that runs the tool in the workspace's folder; installs it first if it is missing.
    pub(crate) fn command(self) -> Result<Command, BoxError> {
        let tools = Metadata::read()?.target().join("tools");
        let binary = tools.join("bin").join(self.name).with_extension(EXE_EXTENSION);
        if !binary.exists() {
            eprintln!("installing {} {} into target/tools", self.name, self.version);
            job::run(
                cargo(["install", self.name, "--version", self.version, "--locked", "--quiet", "--root"])
                    .arg(&tools),
            )?;
        }
        let mut command = Command::new(binary);
        command.current_dir(root());
        Ok(command)
    }
}
