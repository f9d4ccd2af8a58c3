//! Scheduled jobs: create, look at, list, cancel.

use std::sync::Arc;

use super::{Answer, Call, Performed, looked_up};
use crate::choices::JobsShape;
use crate::errors::ServiceError;
use crate::hub::Hub;
use crate::jobs::{draft, runner, view};
use crate::operation::Operation;
use crate::query::token::{self, Place};
use crate::registry::Trace;
use crate::router::parameter;
use crate::service::query::page_size;

/// Does what a request about scheduled jobs asks for.
pub(super) fn perform(hub: &Arc<Hub>, call: Call<'_>) -> Result<Performed, ServiceError> {
    let id = call.route.name.as_deref().unwrap_or_default();
    match call.route.operation {
        Operation::JobCreate => create(hub, id, call.body),
        Operation::JobCancel => {
            let now = hub.clock.tick();
            let cancelled = hub.jobs().cancel(id, now).map(view::job);
            hub.keep_job(id);
            Ok(changed(cancelled, hub))
        }
        Operation::JobList => list(hub, call),
        _ => {
            let job = hub.jobs().get(id).map(view::job);
            Ok(looked_up(
                job.unwrap_or_else(|| view::unknown(id)),
                hub.clock.tick(),
            ))
        }
    }
}

fn create(hub: &Arc<Hub>, id: &str, body: &[u8]) -> Result<Performed, ServiceError> {
    let job = draft::parse(id, body, hub.clock.tick())?;
    let limit = hub.job_limit();
    let added = hub.jobs().add(job, limit).cloned();
    if let Ok(job) = &added {
        hub.keep_job(id);
        runner::start(hub, job);
    }
    Ok(changed(added.map(|job| view::job(&job)), hub))
}

fn changed(result: Result<String, ServiceError>, hub: &Hub) -> Performed {
    let trace = Trace {
        effective: result.is_ok(),
        ..Trace::default()
    };
    Performed {
        answer: result.map(Answer::ok),
        effect: Some((trace, hub.clock.tick())),
    }
}

/// GET /jobs/v2/query.
fn list(hub: &Hub, call: Call<'_>) -> Result<Performed, ServiceError> {
    let wanted = |name| parameter(call.query, name).filter(|it| !it.is_empty());
    let (kind, status) = (wanted("jobType"), wanted("jobStatus"));
    let text = format!("jobs {kind:?} {status:?}");
    let start = match call.continuation {
        None => Place::default(),
        Some(token) => token::read(&text, token).ok_or_else(ServiceError::bad_query)?,
    };
    let size = page_size(call.max_items, &hub.choices)?;
    let alike = |wanted: &Option<String>, is: &str| {
        wanted.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(is))
    };
    let jobs = hub.jobs();
    let mut found = jobs.after(start.device.as_deref()).filter(|job| {
        alike(&kind, view::kind(job)) && alike(&status, &view::status_name(job.status))
    });
    let page: Vec<_> = found.by_ref().take(size).collect();
    let last = page.last().map(|job| Place {
        device: Some(job.id.clone()),
        ..Place::default()
    });
    let next = found
        .next()
        .and(last)
        .map(|place| token::write(&text, place));
    let items: Vec<String> = page.into_iter().map(view::job).collect();
    let items = items.join(",");
    let body = match hub.choices.jobs_query {
        JobsShape::Array => format!("[{items}]"),
        JobsShape::Object => {
            let token = next
                .as_ref()
                .map(|it| format!(r#","continuationToken":"{it}""#));
            let token = token.unwrap_or_default();
            format!(r#"{{"type":"jobResponse","items":[{items}]{token}}}"#)
        }
    };
    let answer = Answer {
        item_type: Some("JobResponse"),
        continuation: next,
        ..Answer::ok(body)
    };
    Ok(Performed {
        answer: Ok(answer),
        effect: Some((Trace::default(), hub.clock.tick())),
    })
}
