//! The operations themselves: parse the body, apply it to the state, render the answer.
//!
//! Bodies are checked before the state is locked, and answers are rendered while it is, so that
//! what a client reads is what its request left behind.

mod bulk;
mod jobs;
pub(crate) mod methods;
mod modules;
pub(crate) mod query;
mod statistics;

use std::sync::Arc;

use http::StatusCode;

use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::Precondition;
use crate::hub::Hub;
use crate::identity::IdentityDraft;
use crate::operation::Operation;
use crate::registry::{Device, Effect, Fresh, Gate, Target, Trace};
use crate::router::{Route, list_limit};
use crate::twin::TwinDraft;
use crate::views;

/// A success.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// JSON, or empty.
    pub(crate) body: String,
    /// The `ETag` header, which only identities have.
    pub(crate) etag: Option<String>,
    /// What the rows of a query are.
    pub(crate) item_type: Option<&'static str>,
    /// What to send for the next page.
    pub(crate) continuation: Option<String>,
}

impl Answer {
    /// 200 with a JSON body.
    pub(crate) const fn ok(body: String) -> Self {
        Self {
            status: StatusCode::OK,
            body,
            etag: None,
            item_type: None,
            continuation: None,
        }
    }

    /// 204.
    pub(crate) fn empty() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            ..Self::ok(String::new())
        }
    }
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Performed {
    pub(crate) answer: Result<Answer, ServiceError>,
    /// What it did and when; `None` if it never met the state.
    pub(crate) effect: Option<(Trace, Ticks)>,
}

/// The parts of a request an operation looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) route: &'a Route,
    pub(crate) query: &'a str,
    pub(crate) api_version: &'a str,
    pub(crate) precondition: &'a Precondition,
    pub(crate) gate: Gate,
    /// `x-ms-continuation`.
    pub(crate) continuation: Option<&'a str>,
    /// `x-ms-max-item-count`.
    pub(crate) max_items: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// Does what a request asks for.
pub(crate) async fn perform(hub: &Arc<Hub>, call: Call<'_>) -> Performed {
    let id = call.route.device.as_deref().unwrap_or_default();
    let performed = match call.route.operation {
        Operation::List => return list(hub, list_limit(call.query)),
        Operation::Create | Operation::Update => put_identity(hub, id, call),
        Operation::TwinPatch | Operation::TwinReplace => write_twin(hub, id, call),
        Operation::Read => {
            Ok(hub.with_registry(|registry, now| done(registry.read(id), now, identity)))
        }
        Operation::Delete => Ok(hub.with_registry(|registry, now| {
            done(registry.delete(id, call.precondition), now, identity)
        })),
        Operation::TwinRead => Ok(hub.with_registry(|registry, now| {
            done(registry.read_twin(id), now, |device| {
                twin(device, call.api_version)
            })
        })),
        Operation::ModuleCreate
        | Operation::ModuleUpdate
        | Operation::ModuleDelete
        | Operation::ModuleRead
        | Operation::ModuleList
        | Operation::ModuleTwinRead
        | Operation::ModuleTwinPatch
        | Operation::ModuleTwinReplace => modules::perform(hub, id, call),
        Operation::Bulk => bulk::perform(hub, call.body),
        Operation::Query => query::perform(hub, call).await,
        Operation::Method | Operation::ModuleMethod => {
            let target = Target {
                device: id.to_owned(),
                module: call.route.module.clone(),
            };
            methods::perform(hub, target, call.body).await
        }
        Operation::JobCreate | Operation::JobRead | Operation::JobList | Operation::JobCancel => {
            jobs::perform(hub, call)
        }
        Operation::Purge => Ok(statistics::purge(hub, id)),
        Operation::DeviceStatistics => Ok(statistics::devices(hub)),
        Operation::ServiceStatistics => Ok(statistics::service(hub)),
        Operation::BulkItem | Operation::JobItem | Operation::HandEdit | Operation::Other => {
            Err(ServiceError::no_such_resource())
        }
    };
    performed.unwrap_or_else(|error| Performed {
        answer: Err(error),
        effect: None,
    })
}

fn put_identity(hub: &Hub, id: &str, call: Call<'_>) -> Result<Performed, ServiceError> {
    let edit = IdentityDraft::parse(call.body)?.check(id)?;
    let fresh = hub.fresh();
    let render = if call.route.operation == Operation::Create {
        created
    } else {
        identity
    };
    Ok(hub.with_registry(|registry, now| {
        done(
            registry.put(id, edit, call.precondition, Fresh { now, ..fresh }),
            now,
            render,
        )
    }))
}

fn write_twin(hub: &Hub, id: &str, call: Call<'_>) -> Result<Performed, ServiceError> {
    let edit = TwinDraft::parse(call.body).map_err(ServiceError::by_twins)?;
    let replace = call.route.operation == Operation::TwinReplace;
    Ok(hub.with_registry(|registry, now| {
        let effect = if replace {
            registry.replace_twin(id, &edit, call.precondition, now)
        } else {
            registry.patch_twin(id, &edit, call.precondition, now)
        };
        done(effect, now, |device| twin(device, call.api_version))
    }))
}

fn list(hub: &Hub, limit: usize) -> Performed {
    hub.with_registry(|registry, now| {
        let items: Vec<String> = registry.page(None, limit).map(views::identity).collect();
        looked_up(format!("[{}]", items.join(",")), now)
    })
}

/// A 200 of a request that changes nothing.
fn looked_up(body: String, now: Ticks) -> Performed {
    Performed {
        answer: Ok(Answer::ok(body)),
        effect: Some((Trace::default(), now)),
    }
}

/// Renders an effect; the success of a delete has nothing to render.
fn done<T>(effect: Effect<'_, T>, now: Ticks, render: impl FnOnce(&T) -> Answer) -> Performed {
    let answer = effect.result.map(|it| it.map_or(Answer::empty(), render));
    Performed {
        answer,
        effect: Some((effect.trace, now)),
    }
}

fn created(device: &Device) -> Answer {
    Answer {
        body: views::created_identity(device),
        ..identity(device)
    }
}

fn identity(device: &Device) -> Answer {
    Answer {
        etag: Some(device.identity.etag.text()),
        ..Answer::ok(views::identity(device))
    }
}

fn twin(device: &Device, api_version: &str) -> Answer {
    Answer::ok(views::twin(device, api_version))
}
