//! The patterns of device management, by name.

use serde_json::{Value, json};

use super::{NOW, Reply, Step};
use crate::twin::Document;

impl Reply {
    /// A reply that goes by a name.
    pub(super) fn pattern(name: &str) -> Option<Self> {
        match name {
            "echo" => Some(Self {
                echo: true,
                ..Self::default()
            }),
            "reboot" => Some(reboot()),
            "factory-reset" => Some(factory_reset()),
            "firmware-update" => Some(firmware_update()),
            _ => None,
        }
    }
}

/// Answers at once that the action has started, and goes on by itself.
fn started(action: &str, steps: Vec<Step>) -> Reply {
    Reply {
        payload: json!({"status": format!("{action} started")}),
        steps,
        ..Reply::default()
    }
}

/// Reports how far an action is.
fn progress(action: &str, after_ms: u64, fields: Value) -> Step {
    let actions = Document::from_iter([(action.to_owned(), fields)]);
    let reported = Document::from_iter([("iothubDM".to_owned(), Value::Object(actions))]);
    Step {
        after_ms,
        reported: Some(reported),
        online: None,
    }
}

/// Connects or disconnects.
const fn switch(after_ms: u64, online: bool) -> Step {
    Step {
        after_ms,
        online: Some(online),
        reported: None,
    }
}

fn reboot() -> Reply {
    let begun = json!({"status": "rebooting", "startedRebootTime": NOW});
    let done = json!({"status": "complete", "lastReboot": NOW});
    let steps = vec![
        progress("reboot", 0, begun),
        switch(300, false),
        switch(1_000, true),
        progress("reboot", 1_100, done),
    ];
    started("reboot", steps)
}

fn factory_reset() -> Reply {
    let begun = json!({"status": "started", "startedTime": NOW});
    let done = json!({"status": "complete", "lastReset": NOW});
    let steps = vec![
        progress("factoryReset", 0, begun),
        switch(300, false),
        switch(1_500, true),
        progress("factoryReset", 1_600, done),
    ];
    started("factoryReset", steps)
}

fn firmware_update() -> Reply {
    let phases = [
        (0, "downloading"),
        (400, "applying"),
        (800, "rebooting"),
        (1_600, "applied"),
    ];
    let step = |(after_ms, status)| {
        let fields = json!({"status": status, "since": NOW});
        progress("firmwareUpdate", after_ms, fields)
    };
    started("firmwareUpdate", phases.map(step).to_vec())
}
