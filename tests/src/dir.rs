//! A folder of its own for each test, kept exactly when somebody will want to read it.
//!
//! A test can fail by a panic or by returning an error, and a guard sees only the first. So the
//! folder asks the other way round: a test that got to its end says [`TestDir::passed`], and every
//! other way out keeps the folder, prints where it is and shows the end of each log in it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Lines shown of each log when a test fails.
const TAIL: usize = 20;

/// A test's folder. Declare it before the processes that live in it, so that it is dropped last.
#[must_use = "dropped at once, it would be reported as a failed test"]
pub struct TestDir {
    dir: Option<TempDir>,
    path: PathBuf,
    passed: AtomicBool,
}

impl TestDir {
    /// Makes a new folder under the system's temporary folder (`TMPDIR`), `name` being part of its
    /// name.
    pub fn new(name: &str) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("mender-iothub-{name}-"))
            .tempdir()
            .context("failed to make a folder for the test")?;
        let path = dir.path().to_owned();
        Ok(Self {
            dir: Some(dir),
            path,
            passed: AtomicBool::new(false),
        })
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the folder without a word, for those who tell themselves where it is.
    pub fn keep(mut self) -> PathBuf {
        self.passed();
        if let Some(dir) = self.dir.take() {
            let _ = dir.keep();
        }
        self.path.clone()
    }

    /// Says that the test reached its end: the folder goes when this guard is dropped, after the
    /// processes in it.
    pub fn passed(&self) {
        self.passed.store(true, Ordering::Relaxed);
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        if self.passed.load(Ordering::Relaxed) {
            return;
        }
        if let Some(dir) = self.dir.take() {
            let path = dir.keep();
            eprintln!("{}kept: {}", log_tails(&path), path.display());
        }
    }
}

/// The last lines of every `*.log` directly in `dir`, each under its name.
fn log_tails(dir: &Path) -> String {
    let mut logs: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    let show = |log: &PathBuf| format!("--- {}\n{}", log.display(), tail(log));
    logs.iter().map(show).collect::<Vec<_>>().concat()
}

/// The last lines of a file, each ended; nothing if it cannot be read.
#[must_use]
pub fn tail(file: &Path) -> String {
    let bytes = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    lines[from..].iter().flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passed_test_leaves_nothing() {
        let dir = TestDir::new("passed").unwrap();
        let path = dir.path().to_owned();
        dir.passed();
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_failed_test_leaves_its_folder() {
        let dir = TestDir::new("failed").unwrap();
        let path = dir.path().to_owned();
        fs::write(path.join("worker.log"), "the last words\n").unwrap();
        drop(dir);
        assert_eq!(
            log_tails(&path),
            format!("--- {}/worker.log\nthe last words\n", path.display())
        );
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_kept_folder_stays() {
        let path = TestDir::new("kept").unwrap().keep();
        assert!(path.is_dir());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_tail_is_the_end_of_the_file() {
        let dir = TestDir::new("tail").unwrap();
        let log = dir.path().join("long.log");
        let lines: Vec<String> = (1..=100).map(|number| number.to_string()).collect();
        fs::write(&log, lines.join("\n")).unwrap();
        assert!(tail(&log).starts_with("81\n"));
        assert!(tail(&log).ends_with("100\n"));
        dir.passed();
    }
}
