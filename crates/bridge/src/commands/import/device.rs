//! One device: whether it is taken over, and as what.

use lifecycle::{DeviceId, DeviceRef, Event, EventId, Facts, Failure, IntegrationRef, Record};
use reconciler::ports::{DeviceStore as _, Hub as _, Saved, Stored};
use reconciler::sweep::{Known, Registry as _, Seen};
use uuid::Uuid;

use super::report::Why;
use super::tenant::{self, LOOK, Place};

/// How often a record is tried against a worker's changes.
const TRIES: usize = 3;

/// What became of a device.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is ours now, or would be.
    Imported {
        /// The hub is as Mender wants it.
        in_step: bool,
    },
    /// It was ours already.
    There,
    LeftOut(Why),
}

/// Imports a device. `tagged` is what the hub's query says: not there, or with or without the tag.
///
/// The error is that of a store, or of a hub that refuses the credential.
pub(super) async fn import(
    place: &Place<'_>,
    device: &DeviceId,
    stored: Option<Stored>,
    tagged: Option<bool>,
) -> anyhow::Result<Fate> {
    match tagged {
        None => return Ok(Fate::LeftOut(Why::NotInHub)),
        Some(false) => return Ok(Fate::LeftOut(Why::NotTagged)),
        Some(true) => {}
    }
    let about = place.about(device);
    let facts = match place.pace.ask(async || place.hub.read(&about).await).await {
        Ok(Some(seen)) => seen.facts,
        Ok(None) => return Ok(Fate::LeftOut(Why::NotInHub)),
        Err(failure @ Failure::Credentials(_)) => return Err(failure.into()),
        Err(failure) => return Ok(failed(&about, &failure)),
    };
    let mender = &place.importer.sweeping.mender;
    let known = match unpaced(async || mender.look(&about).await).await {
        Ok(Seen::Known(known)) => known,
        Ok(Seen::Gone) => return Ok(Fate::LeftOut(Why::NotInMender)),
        Err(failure) => return Ok(failed(&about, &failure)),
    };
    if let Some(why) = not_theirs(&facts, &place.hub.integration) {
        return Ok(Fate::LeftOut(why));
    }
    save(place, &about, stored, &known, &facts).await
}

fn failed(about: &DeviceRef, failure: &Failure) -> Fate {
    eprintln!("device {} failed: {failure}", about.device);
    Fate::LeftOut(Why::Failed)
}

/// Mender's own services have no allowance to share.
async fn unpaced<T>(call: impl AsyncFn() -> Result<T, Failure>) -> Result<T, Failure> {
    let pace = super::patience::Pace::new(None, std::time::Duration::ZERO);
    pace.ask(call).await
}

/// Why an identity cannot be one that iot-manager has made for this tenant.
fn not_theirs(facts: &Facts, integration: &IntegrationRef) -> Option<Why> {
    let other = |mark: &lifecycle::Mark| mark.integration != integration.id;
    if facts.mark.as_ref().is_some_and(other) {
        return Some(Why::OtherMark);
    }
    facts.keys.is_none().then_some(Why::NoKey)
}

/// Stores the record, and begins anew where a worker was faster.
async fn save(
    place: &Place<'_>,
    about: &DeviceRef,
    mut stored: Option<Stored>,
    known: &Known,
    facts: &Facts,
) -> anyhow::Result<Fate> {
    let devices = place.importer.devices;
    for _ in 0..TRIES {
        let Some(record) = record(place, about, stored.as_ref(), known, facts) else {
            return Ok(Fate::LeftOut(Why::InWork));
        };
        let imported = Fate::Imported {
            in_step: record.is_settled(),
        };
        if place.importer.dry_run {
            return Ok(imported);
        }
        let saved = match &stored {
            None => devices.create(about, &record).await?,
            Some(stored) => {
                devices
                    .compare_and_set(about, &record, stored.version)
                    .await?
            }
        };
        if saved != Saved::Lost {
            return Ok(imported);
        }
        stored = devices.load(about).await?;
        match place.known(stored.as_ref()) {
            tenant::Known::New => {}
            tenant::Known::Ours { .. } => return Ok(Fate::There),
            tenant::Known::InWork => return Ok(Fate::LeftOut(Why::InWork)),
        }
    }
    Ok(Fate::LeftOut(Why::InWork))
}

/// The record that makes the identity ours; `None` where the present one is being worked on.
fn record(
    place: &Place<'_>,
    about: &DeviceRef,
    stored: Option<&Stored>,
    known: &Known,
    facts: &Facts,
) -> Option<Record> {
    let id = EventId(format!("{LOOK}{}", Uuid::new_v4().simple()));
    if let Some(stored) = stored {
        let mut record = stored.record.clone();
        return record.import(about, id, facts).then_some(record);
    }
    let look = Event {
        id,
        about: about.clone(),
        status: known.status,
        revision: None,
        created: known.created,
        replay: 0,
    };
    Some(Record::imported(&look, &place.hub.integration, facts))
}
