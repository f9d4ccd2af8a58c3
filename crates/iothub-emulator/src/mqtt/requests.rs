//! What devices ask for over their connections, done on the state.

use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::notes;
use crate::choices::TwinSize;
use crate::errors::ServiceError;
use crate::hub::Hub;
use crate::operation::Operation;
use crate::registry::{LineId, Target};
use crate::service::methods::MAX_PAYLOAD;
use crate::throttle::{Meter, Verdict};
use crate::twin::{Document, Section, Twin};

/// Who asks, over which connection.
type Place<'a> = (&'a Target, LineId);

/// An answer about a twin.
#[derive(Debug)]
pub(super) struct Answer {
    /// As in HTTP.
    pub(super) status: u16,
    /// The new version of the reported properties.
    pub(super) version: Option<u64>,
    pub(super) body: String,
}

/// Reads the twin as its device sees it.
pub(super) async fn read_twin(hub: &Hub, (who, line): Place<'_>) -> Answer {
    let entry = notes::entry(hub, ("PUBLISH", Operation::DeviceTwinRead), who, "");
    let read = match queue(hub, Meter::TwinReads).await {
        Ok(()) => hub.with_registry(|registry, _| {
            registry.over_line(who, line, |_, twin, _| Ok(document(twin)))
        }),
        Err(refusal) => Err(refusal),
    };
    let answer = match read {
        Ok(body) => Answer {
            status: 200,
            version: None,
            body: body.to_string(),
        },
        Err(error) => refusal(hub, error),
    };
    hub.journal
        .open(notes::done(hub, entry, answer.status, false));
    answer
}

/// Merges into the reported properties.
pub(super) async fn report(hub: &Hub, (who, line): Place<'_>, payload: &[u8]) -> Answer {
    let entry = notes::entry(hub, ("PUBLISH", Operation::DeviceReport), who, "");
    let reported = match parse(payload) {
        Ok(patch) => match queue(hub, Meter::TwinWrites).await {
            Ok(()) => hub.with_registry(|registry, _| {
                registry.over_line(who, line, |_, twin, now| {
                    twin.report(&patch, now)?;
                    Ok(twin.reported.version)
                })
            }),
            Err(refusal) => Err(refusal),
        },
        Err(error) => Err(error),
    };
    let effective = reported.is_ok();
    let answer = match reported {
        Ok(version) => Answer {
            status: 204,
            version: Some(version),
            body: String::new(),
        },
        Err(error) => refusal(hub, error),
    };
    // No answer tells of something that a crash could take back.
    let _ = hub.durable().await;
    hub.journal
        .open(notes::done(hub, entry, answer.status, effective));
    answer
}

/// Counts a message to the cloud; where messages go is not emulated.
pub(super) fn message(hub: &Hub, (who, line): Place<'_>, detail: &str) {
    let entry = notes::entry(hub, ("PUBLISH", Operation::DeviceMessage), who, detail);
    // A will comes from a line that has ended, so it does not matter whether this succeeds.
    let _ = hub.with_registry(|registry, _| registry.over_line(who, line, |_, _, _| Ok(())));
    hub.journal.open(notes::done(hub, entry, 204, true));
}

/// The payload of an answer to a method, if it is one.
pub(super) fn method_answer(payload: &[u8]) -> Option<Value> {
    if payload.is_empty() {
        return Some(Value::Null);
    }
    let sized = payload.len() <= MAX_PAYLOAD;
    sized.then(|| serde_json::from_slice(payload).ok())?
}

/// Waits for its turn, as requests over HTTPS do.
async fn queue(hub: &Hub, meter: Meter) -> Result<(), ServiceError> {
    let verdict = {
        let (mut throttle, now) = hub.throttle();
        throttle.take(meter, 1, now)
    };
    match verdict {
        Verdict::After(wait) if wait.is_zero() => {}
        Verdict::After(wait) => sleep(wait).await,
        Verdict::Refused => return Err(ServiceError::throttled(meter)),
    }
    Ok(())
}

fn parse(payload: &[u8]) -> Result<Document, ServiceError> {
    serde_json::from_slice(payload).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        ServiceError::invalid(format!(
            "The reported properties are no JSON object: {place}."
        ))
    })
}

/// A twin as devices see it: no metadata, no tags.
fn document(twin: &Twin) -> Value {
    json!({"desired": section(&twin.desired), "reported": section(&twin.reported)})
}

fn section(section: &Section) -> Value {
    let mut values = section.values.clone();
    values.insert("$version".to_owned(), section.version.into());
    Value::Object(values)
}

fn refusal(hub: &Hub, error: ServiceError) -> Answer {
    let error = match hub.choices.twin_too_large {
        TwinSize::Invalid => error,
        TwinSize::TooLarge => error.with_413(),
    };
    Answer {
        status: error.status.as_u16(),
        version: None,
        body: error.device_body(&Uuid::new_v4().to_string(), hub.clock.tick()),
    }
}
