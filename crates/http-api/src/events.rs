//! The management API's events: how what Mender told ended, newest first.
//!
//! They are made from the log of outcomes, so there is one for each event that ended, with what is
//! kept of it: neither auth sets nor keys of devices are.

use std::cmp::Reverse;
use std::collections::HashMap;

use lifecycle::{Outcome, Status, Timestamp};
use messages::OutcomeMessage;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::{Api, Call};
use crate::device::Kind;
use crate::integrations::{away, uuid};
use crate::ports::{Backend, Caller, Logged};
use crate::query;
use crate::reply::Reply;

const PER_PAGE: usize = 20;
const MOST_PER_PAGE: usize = 500;
/// Beyond so many events nothing is looked up any more.
const MOST: usize = 10_000;
/// Namespace of the ids of events; a random UUID, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x5a1b_22c8_9d0f_4d6b_8c4e_1f73_90ee_5d21);
/// Why an event was ignored that iot-manager would not have logged.
const NO_INTEGRATION: &str = "the tenant has no integration";

impl<B: Backend> Api<B> {
    pub(crate) async fn events(&self, caller: &Caller, call: &Call<'_>) -> Result<Reply, Reply> {
        let page = number(call.query, "page", 1)?;
        let per_page = number(call.query, "per_page", PER_PAGE)?;
        if per_page > MOST_PER_PAGE {
            let text = format!("parameter \"per_page\" above limit (max: {MOST_PER_PAGE})");
            return Err(Reply::bad(text));
        }
        let id = self.backend.id(&caller.tenant);
        let wanted = query::value(call.query, "integration_id").filter(|text| !text.is_empty());
        if let Some(text) = wanted {
            let wanted = uuid(&text);
            let wanted = wanted.map_err(|_| Reply::bad("integration ID is not a valid UUID"))?;
            if wanted != id {
                return Ok(Reply::json(&json!([])));
            }
        }
        let skip = (page - 1).saturating_mul(per_page);
        let logged = match skip {
            0..MOST => self.newest(caller, skip + per_page).await?,
            _ => Vec::new(),
        };
        let page = logged.iter().skip(skip).take(per_page);
        let shown: Vec<_> = page.map(|logged| shown(logged, id)).collect();
        Ok(Reply::json(&shown))
    }

    /// At least so many events if there are so many.
    async fn newest(&self, caller: &Caller, enough: usize) -> Result<Vec<Logged>, Reply> {
        let mut most = enough.saturating_mul(2);
        loop {
            let log = self.backend.newest(&caller.tenant, most.min(MOST)).await;
            let log = log.map_err(away)?;
            let is_all = log.len() < most || most >= MOST;
            let events = once(&log);
            if is_all || events.len() >= enough {
                return Ok(events);
            }
            most = most.saturating_mul(4);
        }
    }
}

/// The log without what is no event for Mender, and with each event once: one that came in two
/// ways has two outcomes, of which the other one says that it was known already.
fn once(log: &[Logged]) -> Vec<Logged> {
    let mut told = HashMap::new();
    for (index, logged) in log.iter().enumerate() {
        if let Some(content) = content(logged) {
            let place = (rank(logged), Reverse(index));
            let best = told.entry(content).or_insert(place);
            *best = place.min(*best);
        }
    }
    let kept = log.iter().enumerate().filter(|(index, logged)| {
        let OutcomeMessage {
            outcome, reason, ..
        } = &logged.outcome;
        let is_unseen = *outcome == Outcome::Ignored && reason.as_deref() == Some(NO_INTEGRATION);
        let best = content(logged).and_then(|content| told.get(&content));
        let is_best = best.is_none_or(|best| *best == (rank(logged), Reverse(*index)));
        !is_unseen && logged.outcome.device_id.is_some() && (is_best || rank(logged) == 0)
    });
    kept.map(|(_, logged)| logged.clone()).collect()
}

/// How little an outcome says of what was done.
fn rank(logged: &Logged) -> u8 {
    match logged.outcome.outcome {
        Outcome::Applied | Outcome::Ignored | Outcome::Dead => 0,
        Outcome::Unchanged => 1,
        Outcome::Superseded => 2,
    }
}

/// By what an event is known, where anything does.
fn content(logged: &Logged) -> Option<(String, &'static str, Option<u64>)> {
    let OutcomeMessage {
        device_id,
        status,
        revision,
        ..
    } = &logged.outcome;
    let status = (*status)?;
    let is_known = revision.is_some() || status == Status::Decommissioned;
    is_known.then(|| {
        (
            device_id.clone().unwrap_or_default(),
            status.as_str(),
            *revision,
        )
    })
}

fn shown(logged: &Logged, integration: Uuid) -> Value {
    let Logged { time, outcome } = logged;
    let name = format!(
        "{}\n{}\n{}",
        outcome.event_id,
        outcome.replay,
        time.as_micros()
    );
    let mut delivery = json!({
        "integration_id": integration,
        "success": error(outcome).is_none(),
    });
    if let Some(error) = error(outcome) {
        delivery["error"] = json!(error);
    }
    let mut shown = json!({
        "id": Uuid::new_v5(&NAMESPACE, name.as_bytes()),
        "type": kind(outcome),
        "time": text(*time),
        "data": data(outcome),
    });
    // As iot-manager: nothing was done for a device that was not there.
    let was_absent =
        outcome.status == Some(Status::Decommissioned) && outcome.outcome == Outcome::Unchanged;
    if !was_absent {
        shown["delivery_statuses"] = json!([delivery]);
    }
    shown
}

/// What went wrong.
fn error(outcome: &OutcomeMessage) -> Option<String> {
    let reason = || outcome.reason.clone();
    match outcome.outcome {
        Outcome::Applied | Outcome::Unchanged | Outcome::Superseded => None,
        Outcome::Ignored => Some(reason().unwrap_or_else(|| "ignored".to_owned())),
        Outcome::Dead => Some(reason().unwrap_or_else(|| "given up".to_owned())),
    }
}

/// An event that did not come by HTTP does not say which workflow it is of.
fn kind(outcome: &OutcomeMessage) -> &'static str {
    let came_as = |kind: Kind| outcome.event_id.starts_with(kind.as_str());
    match outcome.status {
        Some(Status::Decommissioned) => "device-decommissioned",
        Some(Status::Accepted) if !came_as(Kind::Status) => "device-provisioned",
        _ if came_as(Kind::Provision) => "device-provisioned",
        _ => "device-status-changed",
    }
}

fn data(outcome: &OutcomeMessage) -> Value {
    let mut data = json!({"id": outcome.device_id});
    if let Some(status) = outcome.status.filter(|it| *it != Status::Decommissioned) {
        data["status"] = json!(status);
    }
    if let (Some(created), "device-provisioned") = (outcome.created_ts, kind(outcome)) {
        data["created_ts"] = json!(text(created));
    }
    data
}

fn text(time: Timestamp) -> String {
    messages::rfc3339(time).unwrap_or_default()
}

fn number(query: Option<&str>, name: &str, default: usize) -> Result<usize, Reply> {
    let text = query::value(query, name).filter(|text| !text.is_empty());
    let Some(text) = text else {
        return Ok(default);
    };
    let shown: String = text.chars().take(64).collect();
    let number: i64 = match text.parse() {
        Ok(number) => number,
        Err(_) => return Err(Reply::bad(format!("invalid {name} query: {shown:?}"))),
    };
    let number = usize::try_from(number).ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        Reply::bad(format!(
            "invalid {name} query: value must be a non-zero positive integer"
        ))
    })
}
