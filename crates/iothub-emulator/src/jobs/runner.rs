//! Running a job: wait for its time, find its devices, work through them at the pace of the tier.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout_at};

use super::{DeviceJob, DeviceState, Job, JobStatus, Work};
use crate::errors::ServiceError;
use crate::etag::Precondition;
use crate::hub::Hub;
use crate::journal::Entry;
use crate::operation::Operation;
use crate::query::token::Place;
use crate::query::{TwinRow, is_true, parse_condition};
use crate::registry::{Target, Trace};
use crate::service::methods::{MethodCall, invoke};
use crate::service::query::{dialect, scan};
use crate::twin::TwinDraft;

/// Devices a job works on at the same time.
const AT_ONCE: usize = 64;

/// Starts a job that has been added.
pub(crate) fn start(hub: &Arc<Hub>, job: &Job) {
    let (hub, job) = (Arc::clone(hub), job.clone());
    tokio::spawn(async move { run(&hub, job).await });
}

async fn run(hub: &Arc<Hub>, job: Job) {
    let wait = job.start.since(hub.clock.tick());
    if !wait.is_zero() {
        change(hub, &job.id, |job| job.status = JobStatus::Scheduled);
        sleep(wait).await;
    }
    if change(hub, &job.id, |job| job.status = JobStatus::Running).is_none() {
        return;
    }
    let now = hub.clock.tick();
    let Ok(targets) = targets(hub, &job.condition).await else {
        change(hub, &job.id, |job| {
            job.failure = Some("The query condition is not valid.".to_owned());
            job.finish(JobStatus::Failed, now);
        });
        hub.keep_job(&job.id);
        return;
    };
    let pending = |target: &Target| DeviceJob {
        target: target.clone(),
        state: DeviceState::Pending,
        started: now,
        updated: now,
    };
    change(hub, &job.id, |job| {
        job.devices = targets.iter().map(pending).collect();
    });
    let deadline = Instant::now() + Duration::from_secs(job.max_seconds);
    let worked = timeout_at(deadline, work_through(hub, &job, targets)).await;
    let now = hub.clock.tick();
    change(hub, &job.id, |job| {
        if worked.is_err() {
            give_up_on_the_rest(job);
        }
        job.finish(JobStatus::Completed, now);
    });
    hub.keep_job(&job.id);
}

/// All devices or modules a condition finds, as queries see them.
async fn targets(hub: &Hub, condition: &str) -> Result<Vec<Target>, ServiceError> {
    let (source, filter) =
        parse_condition(condition, dialect(&hub.choices)).map_err(|_| ServiceError::bad_query())?;
    let mut found = vec![];
    scan(hub, source, &Place::default(), |row: &TwinRow<'_>| {
        if is_true(filter.as_ref(), row) {
            found.push(Target {
                device: row.device.identity.device_id.clone(),
                module: row.module.map(|it| it.identity.module_id.clone()),
            });
        }
        ControlFlow::Continue(())
    })
    .await;
    Ok(found)
}

async fn work_through(hub: &Arc<Hub>, job: &Job, targets: Vec<Target>) {
    let mut pace = hub.job_pace().map(interval);
    let mut working = JoinSet::new();
    for (at, target) in targets.into_iter().enumerate() {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        if working.len() >= AT_ONCE {
            working.join_next().await;
        }
        let (hub, id, work) = (Arc::clone(hub), job.id.clone(), job.work.clone());
        working.spawn(async move { one(&hub, &id, at, &target, &work).await });
    }
    while working.join_next().await.is_some() {}
}

/// Does the work on one device.
async fn one(hub: &Arc<Hub>, id: &str, at: usize, target: &Target, work: &Work) {
    let note = |state: DeviceState| {
        let now = hub.clock.tick();
        change(hub, id, |job| {
            if let Some(device) = job.devices.get_mut(at) {
                device.state = state;
                device.updated = now;
            }
        })
    };
    if note(DeviceState::Running).is_none() {
        return;
    }
    let result = match work {
        Work::UpdateTwin(twin) => update_twin(hub, target, &twin.to_string()).map(|()| None),
        Work::Method(call) => match MethodCall::from_value(call.clone()) {
            Ok(call) => invoke(hub, target, call).await.map(Some),
            Err(error) => Err(error),
        },
    };
    note(match result {
        Ok(answer) => DeviceState::Completed(answer),
        Err(error) => DeviceState::Failed(error.name.into_owned(), error.text),
    });
}

fn update_twin(hub: &Hub, target: &Target, body: &str) -> Result<(), ServiceError> {
    let edit = TwinDraft::parse(body.as_bytes())?;
    let (result, trace) = hub.with_registry(|registry, now| match &target.module {
        None => {
            let effect = registry.patch_twin(&target.device, &edit, &Precondition::Any, now);
            (effect.result.map(|_| ()), effect.trace)
        }
        Some(module) => {
            let ids = (target.device.as_str(), module.as_str());
            let effect = registry.write_module_twin(ids, &edit, false, &Precondition::Any, now);
            (effect.result.map(|_| ()), effect.trace)
        }
    });
    journal(
        hub,
        target,
        trace,
        result
            .as_ref()
            .map_or_else(|it| it.status.as_u16(), |()| 200),
    );
    result
}

/// Writes what a job did to a device into the journal.
fn journal(hub: &Hub, target: &Target, trace: Trace, status: u16) {
    let now = hub.clock.tick();
    let mut entry = Entry::arrived("PATCH", "/jobs/v2", Operation::JobItem, now);
    entry.device = Some(target.device.as_str().into());
    entry.take_effect(trace, now);
    entry.reply(status, now);
    hub.journal.open(entry);
}

fn give_up_on_the_rest(job: &mut Job) {
    for device in &mut job.devices {
        if matches!(device.state, DeviceState::Pending | DeviceState::Running) {
            let text = "The job ran out of time.";
            device.state = DeviceState::Failed("JobRunTimeout".to_owned(), text.to_owned());
        }
    }
}

fn change<T>(hub: &Hub, id: &str, work: impl FnOnce(&mut Job) -> T) -> Option<T> {
    hub.jobs().with_active(id, work)
}
