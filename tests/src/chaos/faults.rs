//! What the hub can be made to do to its clients, as programs of the emulator.

use serde::Serialize;
use serde_json::{Value, json};

/// A kind of trouble with the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Server errors before and after the effect.
    Errors,
    /// Connections that break before and after the effect.
    Drops,
    /// Effects that come after the client has given up, but within the lease.
    Late,
    /// 429, which stops the traffic of the whole hub for a second.
    Throttled,
    /// All of them, and answers that take a while.
    Mixed,
}

impl Trouble {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Errors,
        Self::Drops,
        Self::Late,
        Self::Throttled,
        Self::Mixed,
    ];

    /// The program for `PUT /faults` of the emulator.
    #[must_use]
    pub fn program(self) -> Value {
        let mut rules = match self {
            Self::Errors => errors(),
            Self::Drops => drops(),
            Self::Late => late(),
            Self::Throttled => throttled(),
            Self::Mixed => [errors(), drops(), late(), throttled()].concat(),
        };
        rules.push(json!({"name": "slow", "method": "PUT", "delay_ms": 20, "delay_after_ms": 20}));
        json!({ "rules": rules })
    }
}

fn errors() -> Vec<Value> {
    vec![
        json!({"name": "error", "path": "/devices/*", "every": 17, "status": 503}),
        json!({"name": "lying error", "path": "/devices/*", "every": 19, "effect": "after", "status": 500}),
        json!({"name": "twin error", "path": "/twins/*", "every": 13, "effect": "after", "status": 500}),
    ]
}

fn drops() -> Vec<Value> {
    vec![
        json!({"name": "lost request", "path": "/devices/*", "every": 16, "reply": "drop"}),
        json!({"name": "lost answer", "path": "/devices/*", "every": 11, "effect": "after", "reply": "drop"}),
        json!({"name": "lost twin", "path": "/twins/*", "every": 12, "effect": "after", "reply": "drop"}),
    ]
}

/// Longer than a request may take and shorter than the lease of the [stage](super::Stage).
fn late() -> Vec<Value> {
    vec![
        json!({"name": "late create", "operation": "create", "every": 14, "delay_ms": 3_000}),
        json!({"name": "late delete", "operation": "delete", "every": 9, "delay_ms": 3_000}),
        json!({"name": "late update", "operation": "update", "every": 15, "delay_ms": 3_500}),
    ]
}

fn throttled() -> Vec<Value> {
    vec![
        json!({"name": "throttled", "path": "/devices/*", "every": 50, "times": 4, "status": 429, "retry_after": 1}),
    ]
}
