//! Tests that cannot run here, and say so.
//!
//! The test harness knows only passed and failed, and swallows what a passed test prints. A test
//! that was skipped must not look like one that passed, so it writes past the harness to standard
//! error, and into a file that the runner counts.

use std::{
    env,
    fs::File,
    io::{self, Write as _},
};

/// The variable that names the file to count skipped tests in, one a line.
pub const SKIPS: &str = "MENDER_IOTHUB_SKIPS";

/// Says that a test is skipped, and counts it.
pub fn skip(test: &str, reason: &str) {
    let reason = reason.lines().collect::<Vec<_>>().join(" | ");
    let line = format!("SKIPPED {test}: {reason}");
    tell(&line);
    let Some(path) = env::var_os(SKIPS) else {
        return;
    };
    let file = File::options().create(true).append(true).open(path);
    // One write, so that the lines of two tests do not mix.
    let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    if let Err(error) = written {
        tell(&format!("failed to count a skipped test: {error}"));
    }
}

/// Writes a line to standard error that no test harness holds back.
pub fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
