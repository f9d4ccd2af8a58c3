//! The binary `mender-iothub`: wires the crates together, and is what operators run.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.

mod adapters;
mod cli;
mod commands;
mod config;
mod harden;
mod integration;
mod keys;
mod log;
mod observe;
mod print;
mod replaying;
mod run;
mod screen;
mod session;
mod sweeping;
mod telemetry;
mod trace;
mod webhook;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, Command, IotManager};
use crate::config::ConfigError;

fn main() -> ExitCode {
    harden::process();
    let cli = Cli::parse();
    match about_the_program(&cli) {
        None => {}
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("mender-iothub: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    if let Err(error) = run::open_files::enough() {
        eprintln!("mender-iothub: {error}");
        return ExitCode::FAILURE;
    }
    // Nothing else has installed a provider yet.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("mender-iothub: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(dispatch(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ConfigError>() => {
            eprintln!("mender-iothub: {error:#}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("mender-iothub: {error:#}");
            tell_refusals();
            ExitCode::FAILURE
        }
    }
}

/// A request that NATS refuses gets no answer, so what failed says nothing of the cause.
fn tell_refusals() {
    let refused = session::refused();
    if !refused.is_empty() {
        let refused = print::harmless(refused.join(", "));
        eprintln!(
            "mender-iothub: NATS does not let this user {refused}; run the command as a user who \
             may, or give this one the permission (deploy/nats/users.conf)"
        );
    }
}

/// Commands that need neither configuration nor servers.
fn about_the_program(cli: &Cli) -> Option<anyhow::Result<()>> {
    match &cli.command {
        Some(Command::Completions(args)) => Some(commands::completions::script(args)),
        Some(Command::Man(args)) => Some(commands::completions::man(args)),
        _ => None,
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let output = cli.output;
    if let Some(Command::Config(what)) = cli.command {
        return commands::config::run(cli.config.as_deref(), what, output).await;
    }
    let mut config = config::load(cli.config.as_deref())?;
    if let Some(level) = cli.log_level {
        config.log.level = level;
    }
    let command = match cli.command {
        Some(command) => command,
        None if config.iot_manager.is_on() => {
            Command::IotManager(IotManager::Server { automigrate: false })
        }
        None => Cli::command()
            .error(
                ErrorKind::MissingSubcommand,
                "no command is given; see --help",
            )
            .exit(),
    };
    match command {
        Command::Config(_) | Command::Completions(_) | Command::Man(_) => Ok(()),
        Command::Run => Box::pin(run::run(config)).await,
        Command::IotManager(what) => {
            Box::pin(commands::iot_manager::run(config, what, output)).await
        }
        Command::Setup(args) => commands::setup::run(&config, args, output).await,
        Command::Status(args) => commands::status::run(&config, &args, output).await,
        Command::Doctor(args) => Box::pin(commands::doctor::run(&config, args, output)).await,
        Command::Integration(what) => commands::integration::run(&config, what, output).await,
        Command::Import(what) => Box::pin(commands::import::run(&config, what, output)).await,
        Command::Secrets(what) => commands::secrets::run(&config, what, output).await,
        Command::Device(what) => commands::device::run(&config, what, output).await,
        Command::Dlq(what) => commands::dlq::run(&config, what, output).await,
        Command::Outcomes(what) => commands::outcomes::run(&config, what, output).await,
        Command::Sweep(args) => commands::sweep::run(&config, args, output).await,
        Command::Twin(what) => commands::twin::run(&config, what, output).await,
        Command::Webhook(what) => commands::webhook::run(&config, what, output).await,
    }
}
