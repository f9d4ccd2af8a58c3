//! The product as its users meet it: a configuration file, a service, and commands beside it.
//!
//! An [`Installation`] is the configured product, whether it runs or not, because commands such as
//! `setup` come before `run`, and some tests want a worker that is not ready.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::{Process, Terminal, binaries::Binary, control::Control};

const START: Duration = Duration::from_secs(30);
/// A worker has ten seconds to stop in good order; the rest is for a loaded machine.
const STOP: Duration = Duration::from_secs(15);
const COMMAND: Duration = Duration::from_secs(60);

/// A configured `mender-iothub`.
#[derive(Clone)]
pub struct Installation {
    binary: PathBuf,
    dir: PathBuf,
    config: PathBuf,
    variables: Vec<(String, String)>,
    open_files: Option<u32>,
}

/// What a command printed and how it ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Finished {
    /// Standard output as JSON, provided that the command exited with 0.
    pub fn json(&self) -> Result<Value> {
        ensure!(
            self.code == Some(0),
            "exit code {:?}: {}",
            self.code,
            self.stderr
        );
        serde_json::from_str(&self.stdout).with_context(|| format!("not JSON: {}", self.stdout))
    }
}

impl Installation {
    /// Writes `config` (TOML) into `dir`. For a port of the worker's own choice it should hold
    /// `[http] listen = "127.0.0.1:0"`.
    pub async fn new(dir: &Path, config: &str) -> Result<Self> {
        let binary = Binary::MenderIothub.path().await?;
        let path = dir.join("mender-iothub.toml");
        fs::write(&path, config).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(Self {
            binary,
            dir: dir.to_owned(),
            config: path,
            variables: Vec::new(),
            open_files: None,
        })
    }

    /// The same installation with another build of the program: an older release, say.
    #[must_use]
    pub fn with_binary(mut self, binary: PathBuf) -> Self {
        self.binary = binary;
        self
    }

    /// Adds a variable to the environment of the worker and of every command.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the worker and every command have no more than so many files open at once.
    #[must_use]
    pub const fn open_files(mut self, most: u32) -> Self {
        self.open_files = Some(most);
        self
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Runs `mender-iothub <arguments> --config FILE` to its end, whatever that is.
    pub async fn cli(&self, arguments: &[&str]) -> Result<Finished> {
        self.cli_with_input(arguments, "").await
    }

    /// Like [`Installation::cli`], with `input` on standard input.
    pub async fn cli_with_input(&self, arguments: &[&str], input: &str) -> Result<Finished> {
        // A file, since a pipe would have to be fed while the command already writes.
        let mut stdin = tempfile::tempfile_in(&self.dir)?;
        stdin.write_all(input.as_bytes())?;
        std::io::Seek::rewind(&mut stdin)?;
        let mut command = tokio::process::Command::from(self.command(arguments));
        command.stdin(Stdio::from(stdin)).kill_on_drop(true);
        let output = tokio::time::timeout(COMMAND, command.output());
        let output = output
            .await
            .with_context(|| format!("{arguments:?} took over {COMMAND:?}"))?;
        let output = output.with_context(|| format!("failed to run {}", self.binary.display()))?;
        Ok(Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Starts a command that goes on until it is told to stop. Its outputs are in the folder of the
    /// installation, as `<name>.out` and `<name>.log`.
    pub fn start_command(&self, name: &str, arguments: &[&str]) -> Result<Process> {
        Process::start(name, self.command(arguments), &self.dir)
    }

    /// A command that has not been started yet.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.open_files {
            None => Command::new(&self.binary),
            Some(most) => {
                let mut shell = Command::new("sh");
                let limited = format!("ulimit -n {most} && exec \"$0\" \"$@\"");
                shell.arg("-c").arg(limited).arg(&self.binary);
                shell
            }
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(name)) {
            command.env_remove(name);
        }
        command.args(arguments).arg("--config").arg(&self.config);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the worker and waits until it is ready for work.
    pub async fn start(&self) -> Result<Worker> {
        let mut worker = self.start_unready().await?;
        worker.ready(START).await?;
        Ok(worker)
    }

    /// Runs `mender-iothub <arguments> --config FILE` on a terminal of this size (columns, rows).
    pub fn on_terminal(&self, arguments: &[&str], size: (u16, u16)) -> Result<Terminal> {
        Terminal::start(self.command(arguments), size)
    }

    /// Starts a command whose output goes into the file `<name>.out`.
    pub fn spawn(&self, name: &str, arguments: &[&str]) -> Result<Process> {
        Process::start(name, self.command(arguments), &self.dir)
    }

    /// Starts the worker and waits only until its HTTP port answers.
    pub async fn start_unready(&self) -> Result<Worker> {
        let mut process = Process::start("mender-iothub", self.command(&["run"]), &self.dir)?;
        let listening: Listening = process.ready_line(START).await?;
        let http = Control::new(&listening.http)?;
        let control = |address: Option<String>| address.map(|it| Control::new(&it)).transpose();
        Ok(Worker {
            process,
            http,
            internal: control(listening.iot_manager_internal)?,
            management: control(listening.iot_manager_management)?,
            installation: self.clone(),
        })
    }
}

/// Whether a variable of the developer's shell would change the configuration under test.
fn is_ours(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with("MENDER_IOTHUB_")
}

/// What the worker prints once it listens.
#[derive(Deserialize)]
struct Listening {
    http: String,
    iot_manager_internal: Option<String>,
    iot_manager_management: Option<String>,
}

/// A running worker.
pub struct Worker {
    process: Process,
    http: Control,
    internal: Option<Control>,
    management: Option<Control>,
    installation: Installation,
}

impl Worker {
    /// Writes the configuration, starts the worker and waits until it is ready: [`Installation`]
    /// for those who need nothing in between.
    pub async fn start(dir: &Path, config: &str) -> Result<Self> {
        Installation::new(dir, config).await?.start().await
    }

    /// Its HTTP port: `/healthz`, `/readyz`, `/metrics`.
    #[must_use]
    pub fn http(&self) -> &Control {
        &self.http
    }

    /// iot-manager's internal API, where the configuration has an address for it.
    pub fn internal(&self) -> Result<&Control> {
        self.internal
            .as_ref()
            .context("`iot_manager.internal_listen` is not set")
    }

    /// iot-manager's management API, where the configuration has an address for it.
    pub fn management(&self) -> Result<&Control> {
        self.management
            .as_ref()
            .context("`iot_manager.management_listen` is not set")
    }

    /// Waits until `/readyz` says yes; the error holds what it said last.
    pub async fn ready(&mut self, within: Duration) -> Result<()> {
        let http = self.http.clone();
        let look = async || http.text("/readyz").await.map(|_| Some(()));
        self.process.while_running(within, "/readyz", look).await
    }

    /// Kills it in the middle of whatever it does.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.kill9()
    }

    /// Stops it in good order (SIGTERM); an exit code other than 0 is an error.
    pub async fn sigterm(&mut self) -> Result<()> {
        let status = self.process.stop(STOP).await?;
        ensure!(
            status.success(),
            "the worker answered SIGTERM with {status}"
        );
        Ok(())
    }

    /// Starts it again after it ended, with the same configuration; waits until it is ready.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.process.ended()?.is_some(), "the worker still runs");
        *self = self.installation.start().await?;
        Ok(())
    }

    /// Like [`Worker::start_again`], but waits only until its HTTP port answers.
    pub async fn start_again_unready(&mut self) -> Result<()> {
        ensure!(self.process.ended()?.is_some(), "the worker still runs");
        *self = self.installation.start_unready().await?;
        Ok(())
    }

    /// The installation, for commands that need more than their arguments.
    #[must_use]
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Runs another command of the same installation.
    pub async fn cli(&self, arguments: &[&str]) -> Result<Finished> {
        self.installation.cli(arguments).await
    }

    /// The most memory it ever held, in bytes; `None` where the system does not tell.
    #[must_use]
    pub fn rss_bytes(&self) -> Option<u64> {
        self.process.peak_rss_bytes()
    }

    /// The process, to freeze it or to read its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
