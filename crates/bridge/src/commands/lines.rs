//! What became of each device that a command was about.

use lifecycle::DeviceId;
use serde::Serialize;

use crate::print;

/// The result of what could not be done and may be tried again.
pub(super) const FAILED: &str = "failed";

#[derive(Serialize)]
pub(super) struct Line {
    pub(super) device: DeviceId,
    pub(super) result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
}

/// The lines for people, harmless on a terminal.
pub(super) fn table(lines: &[Line]) -> String {
    let rows = lines.iter().map(|line| {
        let detail = line.detail.clone().unwrap_or_default();
        [line.device.to_string(), line.result.to_owned(), detail]
    });
    print::harmless(print::table(["DEVICE", "RESULT", ""], rows))
}

pub(super) fn failed(lines: &[Line]) -> usize {
    lines.iter().filter(|line| line.result == FAILED).count()
}
