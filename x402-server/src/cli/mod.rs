//! The command `x402`: arguments in, text or JSON lines out; or a service that runs until it is told to end.

mod export;
mod facilitator;
mod failure;
mod filter;
mod list;
mod log;
mod reconcile;
mod serve;
mod show;
mod text;
mod time;
mod view;

use std::{
    ffi::OsString,
    io::{self, BufWriter, Write},
    process::ExitCode,
    sync::Arc,
};

use clap::{Args, Parser, Subcommand};
use tracing::Level;
use x402_core::{error::ConfigError, order::OrderStore};
use x402_store::StoreUrl;

use self::failure::Failure;

/// Runs the command with these arguments, the program's name first, on the process's own standard streams.
///
/// | code | meaning |
/// |---|---|
/// | 0 | done |
/// | 1 | there is no such order; `reconcile` found something to look at; `facilitator` ended before its settlements did |
/// | 2 | the arguments or the configuration are wrong, or the store or the chain cannot be used |
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { UNUSABLE } else { 0 });
        }
    };
    let mut out = BufWriter::new(io::stdout());
    let done = command(cli, &mut out).await;
    match done.and_then(|code| out.flush().map(|()| code).map_err(Failure::from)) {
        Ok(code) => ExitCode::from(code),
        // Whoever reads us has seen enough, as `head` does.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = out.flush();
            eprintln!("error: {}", text::plain(&failure.to_string()));
            ExitCode::from(failure.code())
        }
    }
}

async fn command(cli: Cli, out: &mut (dyn Write + Send)) -> Result<u8, Failure> {
    cli.log.install(cli.command.says())?;
    match cli.command {
        Command::Orders(arguments) => orders(arguments, out).await,
        Command::Facilitator(arguments) => facilitator::run(&arguments).await,
    }
}

async fn orders(arguments: OrdersArguments, out: &mut (dyn Write + Send)) -> Result<u8, Failure> {
    if arguments.store.is_empty() {
        return Err(ConfigError::new("store", "is missing; name it with --store or in X402_STORE").into());
    }
    let url: StoreUrl = arguments.store.parse()?;
    let store: Arc<dyn OrderStore> = url.connect_existing().await?;
    match arguments.command {
        OrdersCommand::List(arguments) => list::run(&*store, &arguments, out).await,
        OrdersCommand::Show(arguments) => show::run(&*store, &arguments, out).await,
        OrdersCommand::Proof(arguments) => show::proof(&*store, &arguments, out).await,
        OrdersCommand::Export(arguments) => export::run(&*store, &arguments, out).await,
        OrdersCommand::Reconcile(arguments) => reconcile::run(store, &arguments, out).await,
    }
}

/// Looking after x402 orders, and settling for others
#[derive(Debug, Parser)]
#[command(name = "x402", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    log: log::Arguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at orders, and hold them against the chain
    Orders(OrdersArguments),
    /// Verify and settle payments for other servers
    Facilitator(facilitator::Arguments),
}

impl Command {
    /// How much it says where nobody says how much: who looks at orders wants to see orders.
    const fn says(&self) -> Level {
        match self {
            Self::Orders(_) => Level::WARN,
            Self::Facilitator(_) => Level::INFO,
        }
    }
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
struct OrdersArguments {
    /// The store: sqlite:FILE, redis://HOST:PORT[,redis://..] or postgres://USER:PASSWORD@HOST/DATABASE. With a password
    /// in it, better in the environment, where other users do not see it
    #[arg(
        long,
        value_name = "URL",
        env = "X402_STORE",
        hide_env_values = true,
        global = true,
        default_value = ""
    )]
    #[arg(hide_default_value = true)]
    store: String,
    #[command(subcommand)]
    command: OrdersCommand,
}

/// Without the store, which may have a password in it.
impl std::fmt::Debug for OrdersArguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrdersArguments").field("command", &self.command).finish_non_exhaustive()
    }
}

#[derive(Debug, Subcommand)]
enum OrdersCommand {
    /// List orders, newest first
    List(list::Arguments),
    /// Show one order and what happened to it
    Show(show::Arguments),
    /// Print the proof record of one order, as JSON
    Proof(show::ProofArguments),
    /// Print proof records, one JSON document a line, newest first
    Export(export::Arguments),
    /// Hold orders against the chain; record outcomes that were unknown. Never charges anybody
    Reconcile(reconcile::Arguments),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  there is no such order; `reconcile` found something to look at; `facilitator` ended before its settlements did
  2  the arguments or the configuration are wrong, or the store or the chain cannot be used";

const DONE: u8 = 0;
const LOOK: u8 = 1;
const UNUSABLE: u8 = 2;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_store_is_not_shown() {
        let cli = Cli::try_parse_from(["x402", "orders", "list", "--store", "redis://:hidden@localhost"]);
        assert!(!format!("{:?}", cli.unwrap()).contains("hidden"));
    }
}
