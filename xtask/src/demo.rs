//! `cargo xtask demo`.

use clap::Args;

use crate::{
    BoxError, job,
    workspace::{Metadata, cargo},
};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Leave the chain and the server running afterwards, and print lines to try
    #[arg(long)]
    serve: bool,
}

/// Builds the demo and the server it shows, then runs it.
pub(crate) fn run(arguments: &Arguments) -> Result<(), BoxError> {
    job::run(&mut cargo(["build", "--quiet", "-p", "demo", "-p", "axum-quickstart"]))?;
    let binary =
        Metadata::read()?.target().join("debug").join(format!("demo{}", std::env::consts::EXE_SUFFIX));
    let mut demo = std::process::Command::new(binary);
    demo.current_dir(crate::workspace::root());
    if arguments.serve {
        demo.arg("--serve");
    }
    job::run(&mut demo)
}
