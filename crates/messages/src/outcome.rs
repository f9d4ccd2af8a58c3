//! How an event ended: `<prefix>.outcome.<tenant>.<device>`, the log of events.

use lifecycle::{Done, EventId, Outcome, Status, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Malformed, json, time};

/// How one event ended (`schemas/outcome.schema.json`). Every field is always written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeMessage {
    /// [`EventId`] of the event.
    pub event_id: String,
    /// The tenant, where it could be read.
    pub tenant_id: Option<String>,
    /// The device, where it could be read.
    pub device_id: Option<String>,
    /// What the event said, where it could be read.
    pub status: Option<Status>,
    /// Its revision, where it has one.
    pub revision: Option<u64>,
    /// `created_ts` of the device, where the event has it.
    #[serde(with = "rfc3339")]
    pub created_ts: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where the outcome alone does not say it.
    pub reason: Option<String>,
    /// Which life of the event ended: as in [`lifecycle::Event::replay`].
    pub replay: u64,
}

impl OutcomeMessage {
    /// The end of a message that could not be understood: always [`Outcome::Dead`].
    #[must_use]
    pub fn malformed(
        id: &EventId,
        tenant: Option<String>,
        device: Option<String>,
        malformed: &Malformed,
        replay: u64,
    ) -> Self {
        Self {
            event_id: id.0.clone(),
            tenant_id: tenant,
            device_id: device,
            status: None,
            revision: None,
            created_ts: None,
            outcome: Outcome::Dead,
            reason: Some(malformed.reason.clone().into_owned()),
            replay,
        }
    }

    /// Writes it.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        json::written(self)
    }

    /// Reads one.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let text = json::checked(body)?;
        // A derived type would take an array for an object.
        if !text.trim_start().starts_with('{') {
            return Err(Malformed::because("not a JSON object"));
        }
        serde_json::from_str(text).map_err(|_| Malformed::because("not an outcome"))
    }
}

impl From<&Done> for OutcomeMessage {
    fn from(done: &Done) -> Self {
        let event = &done.event;
        Self {
            event_id: event.id.0.clone(),
            tenant_id: Some(event.about.tenant.as_str().to_owned()),
            device_id: Some(event.about.device.as_str().to_owned()),
            status: Some(event.status),
            revision: event.revision,
            created_ts: event.created,
            outcome: done.outcome,
            reason: done.reason.clone(),
            replay: event.replay,
        }
    }
}

mod rfc3339 {
    //! Times as text.

    use super::{Deserialize, Serialize, Timestamp, time};
    use serde::{Deserializer, Serializer, de::Error};

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.and_then(time::format).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        match Option::<String>::deserialize(deserializer)? {
            None => Ok(None),
            Some(text) => time::parse(&text).ok_or_else(|| D::Error::custom("not a time")),
        }
    }
}

#[cfg(test)]
mod tests {
    use lifecycle::{DeviceRef, Event};

    use super::*;

    fn done() -> Done {
        Done {
            event: Event {
                id: EventId("IOTHUB_EVENTS-17".to_owned()),
                about: DeviceRef {
                    tenant: "".parse().unwrap(),
                    device: "dev-1".parse().unwrap(),
                },
                status: Status::Accepted,
                revision: Some(u64::MAX),
                created: Some(Timestamp::from_micros(1_234_000)),
                replay: 2,
            },
            outcome: Outcome::Applied,
            reason: None,
        }
    }

    #[test]
    fn an_outcome_is_written_with_every_field_and_read_back() {
        let message = OutcomeMessage::from(&done());
        let body = message.to_body();
        assert_eq!(
            String::from_utf8(body.clone()).unwrap(),
            r#"{"event_id":"IOTHUB_EVENTS-17","tenant_id":"","device_id":"dev-1","status":"accepted","revision":18446744073709551615,"created_ts":"1970-01-01T00:00:01.234Z","outcome":"applied","reason":null,"replay":2}"#
        );
        assert_eq!(OutcomeMessage::parse(&body).unwrap(), message);
    }

    #[test]
    fn a_malformed_message_of_nobody_ends_dead() {
        let id = EventId("WORKFLOWS-3".to_owned());
        let why = Malformed::because("not valid JSON");
        let message = OutcomeMessage::malformed(&id, None, None, &why, 0);
        assert_eq!(message.outcome, Outcome::Dead);
        assert_eq!(OutcomeMessage::parse(&message.to_body()).unwrap(), message);
    }

    #[test]
    fn what_is_no_outcome_is_refused() {
        for body in [
            "",
            "{}",
            "[]",
            r#"{"event_id":"x","outcome":"lost","replay":0}"#,
        ] {
            assert!(OutcomeMessage::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
