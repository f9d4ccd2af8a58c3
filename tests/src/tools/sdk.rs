//! Azure's own SDKs, to hold the emulator against what real programs use.
//!
//! They are installed by the installers of their languages, from lists that pin every package by
//! version and hash. The folder's name holds a hash of the list, so a changed list is installed
//! anew and an old checkout still finds its own. A machine that cannot install them is no reason to
//! fail: the tests that need them are skipped, each saying so.

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow, bail};
use ring::digest;

use super::Environment;
use crate::workspace;

/// The variable that, set to `skip`, does without the SDKs.
pub const AZURE_SDKS: &str = "TEST_AZURE_SDKS";

/// The oldest Node that the packages of the lock file run on.
const OLDEST_NODE: u32 = 20;

/// One of the SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AzureSdk {
    /// `azure-iot-hub` and `azure-iot-device` from PyPI.
    Python,
    /// `azure-iothub` and `azure-iot-device` from npm.
    Node,
}

/// An SDK that is there to be used.
#[derive(Debug, Clone)]
pub struct InstalledSdk {
    /// The interpreter, `python3` or `node`.
    pub interpreter: PathBuf,
    /// The variable that tells the interpreter where the packages are.
    pub path_variable: &'static str,
    /// Its value.
    pub packages: PathBuf,
}

impl AzureSdk {
    /// The SDK, installed if need be. Looks once in a process; blocks while it installs. An error
    /// is the reason why the tests that need it are skipped.
    pub fn installed(self) -> Result<InstalledSdk> {
        static FOUND: [OnceLock<Result<InstalledSdk, String>>; 2] = [const { OnceLock::new() }; 2];
        let found = FOUND[self as usize].get_or_init(|| {
            Environment(&|name| std::env::var_os(name))
                .azure_sdk(self)
                .map_err(|error| format!("{error:#}"))
        });
        found.clone().map_err(|error| anyhow!(error))
    }

    /// The folder with its scripts and the list of its packages.
    #[must_use]
    pub fn scripts(self) -> PathBuf {
        let name = match self {
            Self::Python => "python",
            Self::Node => "node",
        };
        workspace::root().join("tests/sdk").join(name)
    }

    /// The name of the folder with its packages.
    fn folder(self, kind: &str) -> Result<String> {
        let lists = self.lists().into_iter().map(fs::read);
        let lists = lists.collect::<Result<Vec<_>, _>>()?.concat();
        Ok(folder_name("azure-sdk", &lists, kind))
    }

    /// The lists of its packages, in the order in which they are installed.
    fn lists(self) -> Vec<PathBuf> {
        let names: &[&str] = match self {
            Self::Python => &["requirements.txt", "sources.txt"],
            Self::Node => &["package-lock.json"],
        };
        names.iter().map(|name| self.scripts().join(name)).collect()
    }
}

impl Environment<'_> {
    pub(super) fn azure_sdk(&self, sdk: AzureSdk) -> Result<InstalledSdk> {
        if (self.0)(AZURE_SDKS).is_some_and(|value| value == "skip") {
            bail!("{AZURE_SDKS} says skip");
        }
        match sdk {
            AzureSdk::Python => self.python_sdk(),
            AzureSdk::Node => self.node_sdk(),
        }
    }

    fn python_sdk(&self) -> Result<InstalledSdk> {
        let python = self.on_path("python3").context("there is no python3")?;
        // Some of the packages are compiled for one version and machine.
        let ask = "import sys, sysconfig; print('cp%d%d' % sys.version_info[:2] + '-' + sysconfig.get_platform())";
        let kind = said(Command::new(&python).args(["-c", ask]))?;
        let name = AzureSdk::Python.folder(&kind)?;
        let packages = self.install("Azure's SDK", AZURE_SDKS, &name, |into| {
            // Sources last: they are built by what came before.
            let forms = [
                "--only-binary=:all:",
                "--no-binary=:all: --no-build-isolation --use-pep517",
            ];
            for (list, form) in AzureSdk::Python.lists().iter().zip(forms) {
                let words = "-m pip install --quiet --disable-pip-version-check --no-input \
                             --retries 2 --no-deps --require-hashes --target";
                let mut pip = Command::new(&python);
                pip.args(words.split_whitespace()).arg(into);
                pip.args(form.split_whitespace()).env("PYTHONPATH", into);
                said(pip.arg("--requirement").arg(list))?;
            }
            Ok(())
        })?;
        Ok(InstalledSdk {
            interpreter: python,
            path_variable: "PYTHONPATH",
            packages,
        })
    }

    fn node_sdk(&self) -> Result<InstalledSdk> {
        let node = self.on_path("node").context("there is no node")?;
        let version = said(Command::new(&node).arg("--version"))?;
        let major = version.trim_start_matches('v').split('.').next();
        if major.and_then(|text| text.parse().ok()) < Some(OLDEST_NODE) {
            bail!("node is {version}, and the packages need {OLDEST_NODE} or later");
        }
        let npm = self.on_path("npm").context("there is no npm")?;
        let name = AzureSdk::Node.folder("node")?;
        let folder = self.install("Azure's SDK", AZURE_SDKS, &name, |into| {
            for file in ["package.json", "package-lock.json"] {
                fs::copy(AzureSdk::Node.scripts().join(file), into.join(file))?;
            }
            let words = "ci --ignore-scripts --no-audit --no-fund --fetch-retries 2";
            let mut ci = Command::new(&npm);
            ci.args(words.split_whitespace()).current_dir(into);
            said(&mut ci).map(drop)
        })?;
        Ok(InstalledSdk {
            interpreter: node,
            path_variable: "NODE_PATH",
            packages: folder.join("node_modules"),
        })
    }

    /// The folder of this name in the cache, filled if need be. Two processes may install at once: the second
    /// waits and finds the work done; and a folder has its final name only when it is whole.
    pub(super) fn install(
        &self,
        what: &str,
        variable: &str,
        name: &str,
        fill: impl Fn(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let cache = self.cache();
        let folder = cache.join(name);
        if folder.is_dir() {
            return Ok(folder);
        }
        fs::create_dir_all(&cache)?;
        let lock = File::create(cache.join(format!("{name}.lock")))?;
        lock.lock().context("failed to lock the tool cache")?;
        if folder.is_dir() {
            return Ok(folder);
        }
        crate::skips::tell(&format!(
            "installing {what} into {} (once; {variable}=skip does without)",
            folder.display()
        ));
        let work = tempfile::tempdir_in(&cache)?;
        let packages = work.path().join("packages");
        fs::create_dir(&packages)?;
        fill(&packages)?;
        fs::rename(&packages, &folder)?;
        Ok(folder)
    }
}

/// `<what>-<kind>-<hash of the lists>`.
pub(super) fn folder_name(what: &str, list: &[u8], kind: &str) -> String {
    let hash = digest::digest(&digest::SHA256, list);
    let mut hex = String::new();
    for byte in &hash.as_ref()[..8] {
        // Writing into a `String` cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    format!("{what}-{kind}-{hex}")
}

/// What a command says on standard output; its last complaint where it fails.
pub(super) fn said(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("failed to run {program}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let complaint = stderr
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("no reason given");
        bail!("{program} failed: {complaint}");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestDir;

    #[test]
    fn skip_means_none() {
        let look = |name: &str| (name == AZURE_SDKS).then(|| "skip".into());
        let error = Environment(&look).azure_sdk(AzureSdk::Node).unwrap_err();
        assert_eq!(error.to_string(), "TEST_AZURE_SDKS says skip");
    }

    #[test]
    fn a_machine_without_interpreters_is_told_which_is_missing() {
        let dir = TestDir::new("no-interpreters").unwrap();
        let look = |name: &str| (name == "PATH").then(|| dir.path().into());
        let why = |sdk| {
            Environment(&look)
                .azure_sdk(sdk)
                .err()
                .map(|it| it.to_string())
        };
        assert_eq!(
            why(AzureSdk::Python).as_deref(),
            Some("there is no python3")
        );
        assert_eq!(why(AzureSdk::Node).as_deref(), Some("there is no node"));
        dir.passed();
    }

    #[test]
    fn another_list_is_another_folder() {
        let name = |list| folder_name("azure-sdk", list, "node");
        assert_ne!(name(b"a==1"), name(b"a==2"));
    }

    #[test]
    fn no_list_names_a_registry() {
        for sdk in [AzureSdk::Python, AzureSdk::Node] {
            for list in sdk.lists() {
                let list = fs::read_to_string(list).unwrap();
                assert!(!list.contains("\"resolved\"") && !list.contains("://"));
            }
        }
    }

    #[test]
    fn an_installation_that_fails_leaves_nothing_behind() {
        let dir = TestDir::new("failed-install").unwrap();
        let look = |name: &str| (name == "MENDER_IOTHUB_TOOLS").then(|| dir.path().into());
        let environment = Environment(&look);
        let install =
            |fill: fn(&Path) -> Result<()>| environment.install("it", AZURE_SDKS, "test", fill);
        assert!(install(|_| bail!("no network")).is_err());
        let folder = install(|into| fs::write(into.join("file"), "").context("a file")).unwrap();
        assert!(folder.join("file").is_file());
        // It is there: nothing is installed a second time.
        assert_eq!(install(|_| bail!("called again")).unwrap(), folder);
        dir.passed();
    }
}
