//! Secrets that a command is given: from a file, the environment or standard input, never from the
//! command line.

use std::io::{IsTerminal as _, Read};
use std::path::Path;

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

/// Longest secret, in bytes: a certificate with its chain and key.
const LONGEST: usize = 64 * 1024;

/// The secret, from wherever it was put, without blanks around it. `what` is for people.
pub(super) fn secret(
    what: &str,
    file: Option<&Path>,
    variable: Option<&str>,
) -> anyhow::Result<Zeroizing<String>> {
    let text = if let Some(path) = file {
        let file = std::fs::File::open(path);
        file.map_err(anyhow::Error::from)
            .and_then(read)
            .with_context(|| format!("credential file {}", path.display()))?
    } else if let Some(name) = variable {
        from_variable(name)?
    } else {
        if std::io::stdin().is_terminal() {
            eprintln!("{what}, then Ctrl-D:");
        }
        read(std::io::stdin()).context("standard input")?
    };
    let text = Zeroizing::new(text.trim().to_owned());
    if text.is_empty() {
        bail!("there is no {what}: it was empty");
    }
    Ok(text)
}

/// What a variable of the environment holds.
pub(super) fn from_variable(name: &str) -> anyhow::Result<Zeroizing<String>> {
    let text = std::env::var(name);
    let text = text.map_err(|_| anyhow::anyhow!("variable {name} is not set, or no text"))?;
    Ok(Zeroizing::new(text))
}

/// Reads a secret into a buffer that does not grow, so that no copy of it is left behind.
fn read(from: impl Read) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(LONGEST + 1));
    from.take(LONGEST as u64 + 1).read_to_string(&mut text)?;
    if text.len() > LONGEST {
        bail!("it is longer than any credential");
    }
    Ok(text)
}
