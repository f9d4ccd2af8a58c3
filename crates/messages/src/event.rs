//! Our own event: `<prefix>.event.<tenant>.<device>` with a small JSON object.
//!
//! The subject says whom it is about, since NATS permissions guard subjects and nothing guards
//! bodies. A body may repeat it, but then must agree.

use lifecycle::{DeviceRef, Event, EventId, Status, decode_token};
use serde::{Deserialize, Serialize};

use crate::json::{self, Field, present};
use crate::{Malformed, time};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow, deserialize_with = "present")]
    status: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    revision: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    created_ts: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    tenant_id: Field<'a>,
    #[serde(borrow, deserialize_with = "present")]
    device_id: Field<'a>,
}

/// Reads whom a subject is about from its tenant and device tokens.
pub fn device_of(tenant_token: &str, device_token: &str) -> Result<DeviceRef, Malformed> {
    let decode =
        |token, what: &str| decode_token(token).map_err(|error| Malformed::in_field(what, error));
    Ok(DeviceRef {
        tenant: decode(tenant_token, "tenant in the subject")?
            .parse()
            .map_err(|error| Malformed::in_field("tenant in the subject", error))?,
        device: decode(device_token, "device in the subject")?
            .parse()
            .map_err(|error| Malformed::in_field("device in the subject", error))?,
    })
}

/// Reads an event of our own schema (`schemas/event.schema.json`), published on the subject with
/// these two tokens. `id` names it and `replay` counts how often it came out of the dead-letter
/// stream; neither is in the body.
pub fn parse_event(
    id: EventId,
    tenant_token: &str,
    device_token: &str,
    body: &[u8],
    replay: u64,
) -> Result<Event, Malformed> {
    let about = device_of(tenant_token, device_token)?;
    let body: Body<'_> = json::object(json::checked(body)?)?;
    let tenant = json::text(body.tenant_id, "tenant_id")?;
    if tenant.is_some_and(|tenant| tenant != about.tenant.as_str()) {
        return Err(Malformed::because(
            "tenant in the body contradicts the subject",
        ));
    }
    let device = json::text(body.device_id, "device_id")?;
    if device.is_some_and(|device| device != about.device.as_str()) {
        return Err(Malformed::because(
            "device in the body contradicts the subject",
        ));
    }
    Ok(Event {
        id,
        about,
        status: status(body.status)?.ok_or(Malformed::because("status is missing"))?,
        revision: json::unsigned(body.revision, "revision")?,
        created: time::created(body.created_ts, "created_ts")?,
        replay,
    })
}

/// Reads a status, which may be missing or null.
pub(crate) fn status(field: Field<'_>) -> Result<Option<Status>, Malformed> {
    json::text(field, "status")?
        .map(|text| text.parse())
        .transpose()
        .map_err(|_| Malformed::because("unknown status"))
}

/// Writes an event in our own schema. Its id and replay count travel in headers.
#[must_use]
pub fn to_body(event: &Event) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        status: Status,
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        created_ts: Option<String>,
        tenant_id: &'a str,
        device_id: &'a str,
    }
    let body = Body {
        status: event.status,
        revision: event.revision,
        created_ts: event.created.and_then(time::format),
        tenant_id: event.about.tenant.as_str(),
        device_id: event.about.device.as_str(),
    };
    json::written(&body)
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
