//! Carrying devices to a blob and back, a few at a time.

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio::fs::{self, File};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::time::sleep;

use super::{Direction, Errand, Progress, lines};
use crate::bulk::Item;
use crate::configurations::draft::Draft;
use crate::configurations::view;
use crate::errors::ServiceError;
use crate::etag::Precondition;
use crate::hub::Hub;
use crate::registry::{Applied, Fresh};
use crate::service::bulk::note;
use crate::service::query::dialect;

/// Devices written in one go, with the state locked.
const STEP: usize = 250;
/// The blob that tells what went wrong with which line.
const ERRORS: &str = "importErrors.log";

/// Starts an errand.
pub(crate) fn send(hub: &Arc<Hub>, errand: Errand) {
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        if !hub.transfer_wait.is_zero() {
            sleep(hub.transfer_wait).await;
        }
        if !hub.transfers().begin(&errand.job) {
            return;
        }
        let done = match errand.direction {
            Direction::Export => export(&hub, &errand).await,
            Direction::Import => import(&hub, &errand).await,
        };
        let (status, failure) = match done {
            Ok(()) => (Progress::Completed, None),
            Err(error) => (Progress::Failed, Some(error.to_string())),
        };
        let now = hub.clock.tick();
        hub.transfers().finish(&errand.job, status, failure, now);
    });
}

async fn export(hub: &Hub, errand: &Errand) -> io::Result<()> {
    errand.output.make()?;
    let mut blob = BufWriter::new(File::create(&errand.devices).await?);
    if errand.without_keys {
        put(&mut blob, lines::WITHOUT_KEYS).await?;
    }
    let mut after = None::<String>;
    loop {
        let page: Vec<(String, Vec<String>)> = hub.with_registry(|registry, _| {
            let devices = registry.page(after.as_deref(), STEP);
            let with_keys = !errand.without_keys;
            devices
                .map(|it| (it.identity.device_id.clone(), lines::of(it, with_keys)))
                .collect()
        });
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        for line in page.iter().flat_map(|(_, lines)| lines) {
            put(&mut blob, line).await?;
        }
        if !hub.transfers().goes_on(&errand.job) {
            break;
        }
    }
    blob.flush().await?;
    if let Some(path) = &errand.configurations {
        let all: Vec<String> = hub
            .configurations()
            .all()
            .map(view::configuration)
            .collect();
        let mut blob = BufWriter::new(File::create(path).await?);
        for line in all {
            put(&mut blob, &line).await?;
        }
        blob.flush().await?;
    }
    Ok(())
}

async fn put(blob: &mut BufWriter<File>, line: &str) -> io::Result<()> {
    blob.write_all(line.as_bytes()).await?;
    blob.write_all(b"\n").await
}

async fn import(hub: &Hub, errand: &Errand) -> io::Result<()> {
    let input = errand.input.as_deref().unwrap_or(&errand.devices);
    let mut errors = vec![];
    let mut blob = BufReader::new(File::open(input).await?).lines();
    while let Some(line) = blob.next_line().await? {
        // An export without keys starts with a line that is no device.
        if line.trim().is_empty() || line == lines::WITHOUT_KEYS {
            continue;
        }
        if !hub.transfers().goes_on(&errand.job) {
            break;
        }
        errors.extend(import_device(hub, &line));
        tokio::task::yield_now().await;
    }
    if let Some(path) = &errand.configurations {
        errors.extend(import_configurations(hub, path).await?);
    }
    errand.output.make()?;
    if let Some(path) = errand.output.file(ERRORS) {
        let mut log = BufWriter::new(File::create(path).await?);
        for error in errors {
            put(&mut log, &error.to_string()).await?;
        }
        log.flush().await?;
    }
    Ok(())
}

/// Applies one line; an error is what the log says about it.
fn import_device(hub: &Hub, line: &str) -> Option<serde_json::Value> {
    let item = match Item::parse(line) {
        Ok(item) => item,
        Err(error) => return Some(json!({"errorCode": error.number(), "errorStatus": error.text})),
    };
    let (id, module) = (item.id.clone(), item.module.clone());
    let applied = if item.has_status {
        let fresh = hub.fresh();
        hub.with_registry(|registry, now| registry.apply(item, false, Fresh { now, ..fresh }))
    } else {
        // Unlike bulk calls, files need a status even on lines that delete.
        Applied::refused(ServiceError::invalid("The status is missing."))
    };
    note(hub, &id, &applied);
    let error = applied.result.err()?;
    let mut logged =
        json!({"deviceId": id, "errorCode": error.number(), "errorStatus": error.text});
    if let Some(module) = module {
        logged["moduleId"] = json!(module);
    }
    Some(logged)
}

async fn import_configurations(hub: &Hub, path: &Path) -> io::Result<Vec<serde_json::Value>> {
    let mut errors = vec![];
    for line in fs::read_to_string(path)
        .await?
        .lines()
        .filter(|it| !it.trim().is_empty())
    {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let id = value["id"].as_str().unwrap_or_default();
        let draft = Draft::parse(id, line.as_bytes(), dialect(&hub.choices));
        let stored = draft.and_then(|draft| {
            let mut all = hub.configurations();
            let existing = all.get(id).map(|_| Precondition::Any);
            let want = existing.unwrap_or(Precondition::Absent);
            all.put(draft, &want, hub.clock.tick()).map(|_| ())
        });
        hub.keep_configuration(id);
        if let Err(error) = stored {
            let logged = json!({"configurationId": id, "errorCode": error.number(), "errorStatus": error.text});
            errors.push(logged);
        }
    }
    Ok(errors)
}
