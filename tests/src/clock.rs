//! A wall clock of its own for one unmodified process: a small library that is loaded before all others
//! and shifts the time of day ([`tests/data/clock.c`](../../data/clock.c)). Monotonic time is left
//! alone, as it is when NTP steps a clock.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::workspace;

/// Whether a library can be loaded before all others here. macOS protects its own programs from that,
/// and binds functions differently.
pub const WORKS: bool = cfg!(target_os = "linux");

const LIBRARY: &str = "libclock.so";

/// The clock of the processes that were started with its [variables](Self::variables).
pub struct Clock {
    library: PathBuf,
    shift: PathBuf,
}

impl Clock {
    /// A clock that is right as yet; the library is built into `dir` with `cc`.
    pub fn new(dir: &Path) -> Result<Self> {
        let clock = Self {
            library: dir.join(LIBRARY),
            shift: dir.join("clock-shift"),
        };
        File::create(&clock.shift)?;
        clock.set(0)?;
        let source = workspace::root().join("tests/data/clock.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]);
        let done = cc.arg(&clock.library).arg(source).output();
        let done = done.context("failed to run cc, the C compiler that cargo needs as well")?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "cc: {said}");
        Ok(clock)
    }

    /// What a process needs in its environment to have this clock.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("CLOCK_SHIFT_FILE", self.shift.display().to_string()),
        ]
    }

    /// Steps the clock, so that it is so many seconds ahead of the right time (negative: behind), now
    /// and in every later life of its processes.
    pub fn set(&self, seconds: i64) -> Result<()> {
        let file = File::options().write(true).open(&self.shift)?;
        file.write_all_at(&seconds.to_ne_bytes(), 0)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::{TestDir, skips::skip};

    #[test]
    fn a_process_has_the_time_that_it_is_given() {
        if !WORKS {
            return skip("a_process_has_the_time_that_it_is_given", "no LD_PRELOAD");
        }
        let dir = TestDir::new("clock").unwrap();
        let clock = Clock::new(dir.path()).unwrap();
        for shift in [0, 3_600, -3_600] {
            clock.set(shift).unwrap();
            let mut date = Command::new("date");
            let shown = date.arg("+%s").envs(clock.variables()).output().unwrap();
            let shown: i64 = String::from_utf8(shown.stdout)
                .unwrap()
                .trim()
                .parse()
                .unwrap();
            let right = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let right = i64::try_from(right.as_secs()).unwrap();
            assert!(
                (shown - right - shift).abs() < 60,
                "{shown}, {right}, {shift}"
            );
        }
        dir.passed();
    }
}
