//! `cargo xtask`: the two commands a new user needs, and what they share.
//!
//! Each subcommand is a module with `Args` and `run`. Exit codes: 0 done, 1 failed, 2 wrong usage
//! (clap's own).

mod bench;
mod chaos;
mod demo;
mod fuzz;
mod model;
mod simulate;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Shows, tests and equips the project. Needs cargo, a C compiler and python3, nothing else.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Bench(bench::Args),
    Chaos(chaos::Args),
    Demo(demo::Args),
    Fuzz(fuzz::Args),
    Model(model::Args),
    Simulate(simulate::Args),
    Test(test::Args),
    Tools(tools::Args),
}

/// For whom the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// One JSON object, as the last line of standard output.
    Json,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Bench(args) => bench::run(&args),
        Command::Chaos(args) => chaos::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Tools(args) => tools::run(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
