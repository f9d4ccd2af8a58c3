//! A child process that cannot outlive its guard.
//!
//! Both its outputs go to files rather than pipes: a child is never blocked by a reader that has
//! gone, the ready line can be read at leisure, and what it said is still there after it died.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use crate::{dir, wait::until};

/// How long a dropped process may take to end by itself before it is killed.
const DROP_GRACE: Duration = Duration::from_secs(3);

/// A running (or ended) child process.
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    /// Where this run's output begins: a process started again appends to the files of the last.
    stdout_from: usize,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with standard input closed, standard output in `<name>.out` and standard
    /// error in `<name>.log`, both in `dir`.
    pub fn start(name: &str, mut command: Command, dir: &Path) -> Result<Self> {
        let stdout = dir.join(format!("{name}.out"));
        let log = dir.join(format!("{name}.log"));
        let stdout_from = fs::read(&stdout).map_or(0, |bytes| bytes.len());
        let child = command
            .stdin(Stdio::null())
            .stdout(append(&stdout)?)
            .stderr(append(&log)?)
            .spawn()
            .with_context(|| format!("failed to start {}", command.get_program().display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            stdout,
            stdout_from,
            log,
        })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that holds its standard error.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What this run has written to standard output so far.
    pub fn stdout(&self) -> Result<String> {
        let bytes = fs::read(&self.stdout)?;
        let bytes = bytes.get(self.stdout_from..).unwrap_or_default();
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Presses Ctrl-C (SIGINT) and waits until it has ended.
    pub async fn interrupt(&mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::INT)?;
        self.exit(within).await
    }

    /// The exit status, or `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("failed to look after {}", self.name))
    }

    /// Fails, with the end of the log, if the process has ended.
    pub fn must_run(&mut self) -> Result<()> {
        let Some(status) = self.ended()? else {
            return Ok(());
        };
        bail!(
            "{} ended too soon, {status}:\n{}",
            self.name,
            dir::tail(&self.log)
        )
    }

    /// Reads the first line of standard output, a JSON object, once it is complete.
    pub async fn ready_line<T: DeserializeOwned>(&mut self, within: Duration) -> Result<T> {
        let line = self.first_line(within).await?;
        serde_json::from_str(&line).with_context(|| format!("{}: not a ready line", self.name))
    }

    /// Reads the first line of standard output, once it is complete.
    pub async fn first_line(&mut self, within: Duration) -> Result<String> {
        let (stdout, from) = (self.stdout.clone(), self.stdout_from);
        let line = self
            .while_running(within, "ready line", async || Ok(first_line(&stdout, from)))
            .await?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Like [`until`], but gives up at once when the process ends.
    pub async fn while_running<T>(
        &mut self,
        within: Duration,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let what = format!("{}: {what}", self.name);
        // Both ends of the wait answer `Some`: what was waited for, or why it will never come.
        let answer = until(within, &what, async || {
            if let Err(ended) = self.must_run() {
                return Ok(Some(Err(ended)));
            }
            Ok(look().await?.map(Ok))
        });
        let answer = answer.await;
        answer.map_err(|error| error.context(format!("see {}", self.log.display())))?
    }

    /// Kills it as a crash would: no warning, nothing saved.
    pub fn kill9(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.child
            .wait()
            .with_context(|| format!("failed to wait for {}", self.name))?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits for that; past `within` it is killed, and that is an
    /// error.
    pub async fn stop(&mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        match self.exit(within).await {
            Ok(status) => Ok(status),
            Err(late) => {
                self.kill9()?;
                Err(late.context("killed after SIGTERM"))
            }
        }
    }

    /// Waits until it has ended by itself.
    pub async fn exit(&mut self, within: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        until(within, &what, async || self.ended()).await
    }

    /// Freezes it (SIGSTOP): it keeps its sockets and answers nothing.
    pub fn freeze(&mut self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn thaw(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// The most memory it ever held, in bytes (`VmHWM`); `None` where the system has no `/proc`.
    #[must_use]
    pub fn peak_rss_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!(
                "{} has already ended, {status}:\n{}",
                self.name,
                dir::tail(&self.log)
            );
        }
        // Not yet waited for, so the id is still this child's, even if it ended just now.
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|error| anyhow!("failed to signal {}: {error}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.signal(Signal::TERM).is_err() {
            return;
        }
        // A frozen process takes the SIGTERM only when it goes on.
        let _ = self.signal(Signal::CONT);
        let end = Instant::now() + DROP_GRACE;
        while matches!(self.ended(), Ok(None)) {
            if Instant::now() >= end {
                let _ = self.kill9();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn append(path: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(path);
    file.with_context(|| format!("failed to open {}", path.display()))
}

/// The first line after byte `from`, without its end; `None` until it is complete.
fn first_line(path: &Path, from: usize) -> Option<Vec<u8>> {
    let bytes = fs::read(path).ok()?;
    let bytes = bytes.get(from..)?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some(bytes[..end].to_vec())
}
