//! The patterns of device management, by name.

use serde_json::{Value, json};

use super::{NOW, Reply, Step};

impl Reply {
    /// A reply that goes by a name.
    pub(super) fn pattern(name: &str) -> Option<Self> {
        let progress = |action: &str, after_ms, fields: Value| Step {
            after_ms,
            reported: json!({"iothubDM": { action: fields }}).as_object().cloned(),
            online: None,
        };
        let started = |action: &str, steps| Self {
            payload: json!({"status": format!("{action} started")}),
            steps,
            ..Self::default()
        };
        let switch = |after_ms, online| Step {
            after_ms,
            online: Some(online),
            reported: None,
        };
        match name {
            "echo" => Some(Self {
                echo: true,
                ..Self::default()
            }),
            "reboot" => Some(started(
                "reboot",
                vec![
                    progress(
                        "reboot",
                        0,
                        json!({"status": "rebooting", "startedRebootTime": NOW}),
                    ),
                    switch(300, false),
                    switch(1_000, true),
                    progress(
                        "reboot",
                        1_100,
                        json!({"status": "complete", "lastReboot": NOW}),
                    ),
                ],
            )),
            "factory-reset" => Some(started(
                "factoryReset",
                vec![
                    progress(
                        "factoryReset",
                        0,
                        json!({"status": "started", "startedTime": NOW}),
                    ),
                    switch(300, false),
                    switch(1_500, true),
                    progress(
                        "factoryReset",
                        1_600,
                        json!({"status": "complete", "lastReset": NOW}),
                    ),
                ],
            )),
            "firmware-update" => {
                let step = |after_ms, status: &str| {
                    progress(
                        "firmwareUpdate",
                        after_ms,
                        json!({"status": status, "since": NOW}),
                    )
                };
                let steps = [
                    (0, "downloading"),
                    (400, "applying"),
                    (800, "rebooting"),
                    (1_600, "applied"),
                ];
                Some(started(
                    "firmwareUpdate",
                    steps.map(|(at, it)| step(at, it)).to_vec(),
                ))
            }
            _ => None,
        }
    }
}
