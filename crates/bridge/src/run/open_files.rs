//! Whether the system lets this process open another file or connection.
//!
//! Where it does not, every request fails with words of its own, none of which says what to do. Events
//! wait meanwhile, as for a hub that is away.

use std::fs::{self, File};
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::readiness::{Need, Readiness};

/// What the worker waits for where it can open nothing more.
pub(super) const ROOM: Need = Need::new("room for open files", "open_files");
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// With fewer than this a busy worker may come to their end: one for each connection to a hub, to
/// Mender and from those who ask it, and some twenty of its own.
const FEW: u64 = 512;
/// With fewer than this no command gets anywhere.
const FEWEST: u64 = 32;
const NEXT_STEP: &str = "raise the limit (`LimitNOFILE=` of the unit, `--ulimit nofile=` of a container, \
                         `ulimit -n` in a shell) and start again";

/// Whether the program can run at all with as many as it may open.
pub(crate) fn enough() -> Result<(), String> {
    match most_open_files() {
        Some(most) if most < FEWEST => Err(format!(
            "only {most} files can be open at once, and {FEWEST} are needed: {NEXT_STEP}"
        )),
        _ => Ok(()),
    }
}

/// Looks from time to time, until stopped.
pub(super) async fn watch(readiness: Readiness, stop: CancellationToken) {
    let most = most_open_files();
    if let Some(most) = most.filter(|most| *most < FEW) {
        tracing::warn!("at most {most} files and connections can be open at once: {NEXT_STEP}");
    }
    loop {
        readiness.report(ROOM, room(&File::open("/dev/null"), most));
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// What became of opening one more.
fn room(opened: &io::Result<File>, most: Option<u64>) -> Result<(), String> {
    let failed = opened.as_ref().err().and_then(Errno::from_io_error);
    let which = match failed {
        Some(Errno::MFILE) => most.map_or_else(
            || "this process has as many as it may".to_owned(),
            |most| format!("this process has all {most} that it may"),
        ),
        Some(Errno::NFILE) => "the whole system has as many as it may".to_owned(),
        _ => return Ok(()),
    };
    Err(format!(
        "no file or connection can be opened any more, {which}: events wait and none is lost; {NEXT_STEP}"
    ))
}

/// How many files this process may have open, where the system tells (Linux does).
pub(super) fn most_open_files() -> Option<u64> {
    most_of(&fs::read_to_string("/proc/self/limits").ok()?)
}

fn most_of(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_and_that_it_is_reached_is_told_with_the_next_step() {
        let limits = "Limit  Soft Limit  Hard Limit  Units\n\
                      Max processes             10    10    processes\n\
                      Max open files            64    4096  files\n";
        assert_eq!(most_of(limits), Some(64));
        let failed = |errno: Errno| Err(io::Error::from(errno));
        let told = room(&failed(Errno::MFILE), Some(64)).unwrap_err();
        assert!(
            told.contains("all 64") && told.contains("LimitNOFILE="),
            "{told}"
        );
        let told = room(&failed(Errno::NFILE), None).unwrap_err();
        assert!(told.contains("whole system"), "{told}");
        assert_eq!(room(&failed(Errno::NOENT), None), Ok(()));
    }
}
