//! The counts of a hub, and the queue of messages that wait for a device.

use serde_json::json;

use super::{Answer, Performed, looked_up};
use crate::hub::Hub;
use crate::registry::Trace;

/// GET /statistics/devices.
pub(super) fn devices(hub: &Hub) -> Performed {
    hub.with_registry(|registry, now| {
        let (all, enabled) = registry.count();
        let body = format!(
            r#"{{"totalDeviceCount":{all},"enabledDeviceCount":{enabled},"disabledDeviceCount":{}}}"#,
            all - enabled
        );
        looked_up(body, now)
    })
}

/// GET /statistics/service.
pub(super) fn service(hub: &Hub) -> Performed {
    hub.with_registry(|registry, now| {
        let body = json!({"connectedDeviceCount": registry.connected()});
        looked_up(body.to_string(), now)
    })
}

/// DELETE /devices/{id}/commands.
pub(super) fn purge(hub: &Hub, id: &str) -> Performed {
    hub.with_registry(|registry, now| {
        let purged = registry.purge(id);
        let effective = purged.as_ref().is_ok_and(|count| *count > 0);
        let trace = Trace {
            effective,
            ..Trace::default()
        };
        let body = |count| json!({"deviceId": id, "totalMessagesPurged": count});
        Performed {
            answer: purged.map(|count| Answer::ok(body(count).to_string())),
            effect: Some((trace, now)),
        }
    })
}
