//! `cargo xtask services`: Redis, a Redis Cluster and PostgreSQL.

use std::{
    io::{self, Write},
    process::Command,
    thread,
};

use clap::{Args, Subcommand};
use devservices::{Missing, Postgres, Redis, RedisCluster};
use nix::unistd::geteuid;

use crate::{BoxError, job};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Install what is missing with apt-get, without starting or enabling anything; needs root
    Install,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), BoxError> {
    match arguments.action {
        Some(Action::Install) => install(),
        None => serve(),
    }
}

/// Installs the packages of the programs that are missing. Their services neither start nor are enabled, and
/// PostgreSQL gets no cluster: ours are processes of our own.
pub(crate) fn install() -> Result<(), BoxError> {
    let missing = devservices::missing();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(Missing::package).collect();
    let listed = packages.join(" ");
    if !geteuid().is_root() {
        return Err(
            format!("{listed} missing: as root, apt-get install --no-install-recommends {listed}").into()
        );
    }
    println!("installing {listed} with apt-get");
    job::run(Command::new("/bin/sh").args(["-c", include_str!("install.sh"), "install"]).args(packages))?;
    match devservices::missing().first() {
        Some(still) => Err(still.to_string().into()),
        None => Ok(()),
    }
}

/// Starts one of each and leaves them running: Ctrl-C ends this process, and that the services.
fn serve() -> Result<(), BoxError> {
    let redis = Redis::start()?;
    let cluster = RedisCluster::start()?;
    let postgres = Postgres::start()?;
    let mut out = io::stdout();
    writeln!(out, "redis     {}", redis.url())?;
    writeln!(out, "cluster   {}", cluster.urls().join(","))?;
    writeln!(out, "postgres  {}", postgres.database()?)?;
    writeln!(out, "\nCtrl-C ends them and removes their data")?;
    loop {
        thread::park();
    }
}
