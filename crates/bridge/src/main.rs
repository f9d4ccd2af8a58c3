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
mod print;
mod run;
mod session;
mod sweeping;
mod webhook;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::config::ConfigError;

fn main() -> ExitCode {
    harden::process();
    let cli = Cli::parse();
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
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<()> {
    let output = cli.output;
    if let Command::Config(what) = cli.command {
        return commands::config::run(cli.config.as_deref(), what, output).await;
    }
    let config = config::load(cli.config.as_deref())?;
    if matches!(cli.command, Command::Run) {
        return Box::pin(run::run(config)).await;
    }
    match cli.command {
        Command::Run | Command::Config(_) => Ok(()),
        Command::Setup(args) => commands::setup::run(&config, args, output).await,
        Command::Status => commands::status::run(&config, output).await,
        Command::Integration(what) => commands::integration::run(&config, what, output).await,
        Command::Secrets(what) => commands::secrets::run(&config, what, output).await,
        Command::Device(what) => commands::device::run(&config, what, output).await,
        Command::Dlq(what) => commands::dlq::run(&config, what, output).await,
        Command::Outcomes(what) => commands::outcomes::run(&config, what, output).await,
        Command::Sweep(args) => commands::sweep::run(&config, args, output).await,
        Command::Twin(what) => commands::twin::run(&config, what, output).await,
        Command::Webhook(what) => commands::webhook::run(&config, what, output).await,
    }
}
