//! `config`: what can be configured, and whether it is.

use std::path::Path;

use serde::Serialize;

use crate::cli::{Config as What, Output};
use crate::config::{self, Config};
use crate::{log, print, run, session};

/// A configuration that the worker would start with.
#[derive(Debug, Serialize)]
struct Checked {
    ok: bool,
    /// Keys that are not left as they are.
    set: Vec<String>,
}

pub(crate) async fn run(file: Option<&Path>, what: What, output: Output) -> anyhow::Result<()> {
    match what {
        What::Check => {
            let config = config::load(file)?;
            check(&config).await?;
            let set = config::keys_set(&config);
            print::result(output, &Checked { ok: true, set }, in_words)
        }
        What::Example => print::result(output, &Config::default(), |_| config::example()),
        What::Reference => print::result(output, &config::schema(), |_| config::reference()),
    }
}

/// Everything that `run` refuses before it connects to anything.
async fn check(config: &Config) -> anyhow::Result<()> {
    log::check(&config.log)?;
    session::check(config)?;
    run::check(config).await
}

fn in_words(checked: &Checked) -> String {
    let set = match &checked.set[..] {
        [] => "nothing; all keys have their defaults".to_owned(),
        keys => keys.join(", "),
    };
    format!("the worker would start; set: {set}")
}
