//! schemathesis, which makes up requests from an OpenAPI document and holds the answers against it.
//!
//! Installed as Azure's SDKs are, and as they no reason to fail where it cannot be had.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    Environment,
    sdk::{InstalledSdk, folder_name, said},
};
use crate::workspace;

/// The variable that, set to `skip`, does without it.
pub const SCHEMATHESIS: &str = "TEST_SCHEMATHESIS";

/// schemathesis, installed if need be. Looks once in a process; blocks while it installs. An error is
/// the reason why what needs it is skipped.
pub fn schemathesis() -> Result<InstalledSdk> {
    static FOUND: OnceLock<Result<InstalledSdk, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let installed = Environment(&|name| std::env::var_os(name)).schemathesis();
        installed.map_err(|error| format!("{error:#}"))
    });
    found.clone().map_err(|error| anyhow!(error))
}

/// The list of its packages.
fn list() -> PathBuf {
    workspace::root().join("tests/sdk/schemathesis/requirements.txt")
}

impl Environment<'_> {
    fn schemathesis(&self) -> Result<InstalledSdk> {
        if (self.0)(SCHEMATHESIS).is_some_and(|value| value == "skip") {
            bail!("{SCHEMATHESIS} says skip");
        }
        let python = self.on_path("python3").context("there is no python3")?;
        // Some of the packages are compiled for one version and machine.
        let ask = "import sys, sysconfig; print('cp%d%d' % sys.version_info[:2] + '-' + sysconfig.get_platform())";
        let kind = said(Command::new(&python).args(["-c", ask]))?;
        let name = folder_name("schemathesis", &fs::read(list())?, &kind);
        let packages = self.install("schemathesis", SCHEMATHESIS, &name, |into| {
            let words = "-m pip install --quiet --disable-pip-version-check --no-input --retries 2 \
                         --no-deps --require-hashes --only-binary=:all: --target";
            let mut pip = Command::new(&python);
            pip.args(words.split_whitespace()).arg(into);
            said(pip.arg("--requirement").arg(list())).map(drop)
        })?;
        Ok(InstalledSdk {
            interpreter: python,
            path_variable: "PYTHONPATH",
            packages,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skip_means_none() {
        let look = |name: &str| (name == SCHEMATHESIS).then(|| "skip".into());
        let error = Environment(&look).schemathesis().unwrap_err();
        assert_eq!(error.to_string(), "TEST_SCHEMATHESIS says skip");
    }

    #[test]
    fn the_list_names_no_registry() {
        assert!(!fs::read_to_string(list()).unwrap().contains("://"));
    }
}
