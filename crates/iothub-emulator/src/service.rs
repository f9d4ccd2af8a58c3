//! The operations themselves: parse the body, apply it to the state, render the answer.
//!
//! Bodies are checked before the state is locked, and answers are rendered while it is, so that
//! what a client reads is what its request left behind.

pub(crate) mod bulk;
mod configurations;
mod devices;
mod digital;
mod jobs;
pub(crate) mod methods;
mod modules;
pub(crate) mod query;
mod statistics;
mod transfers;

use std::sync::Arc;

use http::StatusCode;

use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::Precondition;
use crate::hub::Hub;
use crate::operation::Operation;
use crate::registry::{Effect, Gate, Target, Trace};
use crate::router::Route;

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
    /// Headers that only one operation has.
    pub(crate) headers: Vec<(&'static str, String)>,
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
            headers: vec![],
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

impl Call<'_> {
    /// The device or module the request is about.
    fn target(&self) -> Target {
        Target {
            device: self.route.device.clone().unwrap_or_default(),
            module: self.route.module.clone(),
        }
    }
}

/// Does what a request asks for.
pub(crate) async fn perform(hub: &Arc<Hub>, call: Call<'_>) -> Performed {
    let id = call.route.device.as_deref().unwrap_or_default();
    let performed = match call.route.operation {
        Operation::List
        | Operation::Read
        | Operation::Create
        | Operation::Update
        | Operation::Delete
        | Operation::TwinRead
        | Operation::TwinPatch
        | Operation::TwinReplace => devices::perform(hub, id, call),
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
            methods::perform(hub, call.target(), call.body).await
        }
        Operation::JobCreate | Operation::JobRead | Operation::JobList | Operation::JobCancel => {
            jobs::perform(hub, call)
        }
        Operation::ConfigurationCreate
        | Operation::ConfigurationUpdate
        | Operation::ConfigurationDelete
        | Operation::ConfigurationRead
        | Operation::ConfigurationList
        | Operation::TestQueries
        | Operation::ApplyContent => configurations::perform(hub, call),
        Operation::TransferCreate
        | Operation::TransferRead
        | Operation::TransferList
        | Operation::TransferCancel => transfers::perform(hub, call),
        Operation::DigitalTwinRead
        | Operation::DigitalTwinPatch
        | Operation::DigitalTwinCommand => digital::perform(hub, call).await,
        // Messages to devices are AMQP, so there is never anything to say about one.
        Operation::Feedback => Ok(looked_up_nothing(hub)),
        Operation::FeedbackSettle => Err(ServiceError::lock_lost()),
        Operation::Purge => Ok(statistics::purge(hub, id)),
        Operation::DeviceStatistics => Ok(statistics::devices(hub)),
        Operation::ServiceStatistics => Ok(statistics::service(hub)),
        Operation::BulkItem
        | Operation::JobItem
        | Operation::ConfigurationItem
        | Operation::Token
        | Operation::ManagedToken
        | Operation::Discovery
        | Operation::DeviceConnect
        | Operation::DeviceDisconnect
        | Operation::DeviceTwinRead
        | Operation::DeviceReport
        | Operation::DeviceDesired
        | Operation::DeviceMethod
        | Operation::DeviceMessage
        | Operation::HandEdit
        | Operation::Other => Err(ServiceError::no_such_resource()),
    };
    performed.unwrap_or_else(|error| Performed {
        answer: Err(error),
        effect: None,
    })
}

/// A 200 of a request that changes nothing.
fn looked_up(body: String, now: Ticks) -> Performed {
    Performed {
        answer: Ok(Answer::ok(body)),
        effect: Some((Trace::default(), now)),
    }
}

/// A 204 of a request that changes nothing.
fn looked_up_nothing(hub: &Hub) -> Performed {
    Performed {
        answer: Ok(Answer::empty()),
        effect: Some((Trace::default(), hub.clock.tick())),
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
