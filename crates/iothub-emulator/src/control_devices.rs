//! Devices on the control port: looking at them whole, and changing them behind the hub's back.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;

use crate::chunks::Chunks;
use crate::control::{Reply, json, nothing, problem, reply};
use crate::errors::ServiceError;
use crate::etag::Precondition;
use crate::hand_edit::HandEdit;
use crate::hub::Hub;
use crate::identity::check_id;
use crate::journal::Entry;
use crate::operation::Operation;
use crate::registry::{Effect, Fresh, Target};
use crate::router::parameter;
use crate::views::{self, Keys};

/// Devices rendered at a time, so that a long list stops nobody for long.
const PAGE: usize = 500;

fn keys(query: &str) -> Keys {
    if parameter(query, "keys").as_deref() == Some("true") {
        Keys::Shown
    } else {
        Keys::Hidden
    }
}

/// All devices, in order of their ids. Not a snapshot if requests go on meanwhile.
pub(crate) fn list(hub: &Arc<Hub>, query: &str) -> Reply {
    let (hub, keys) = (Arc::clone(hub), keys(query));
    let (mut after, mut opened, mut closed) = (None::<String>, false, false);
    let pages = std::iter::from_fn(move || {
        if closed {
            return None;
        }
        let page: Vec<(String, String)> = hub.with_registry(|registry, _| {
            let row = |device| (id_of(device), views::device(device, keys));
            registry.page(after.as_deref(), PAGE).map(row).collect()
        });
        closed = page.len() < PAGE;
        let rows: Vec<&str> = page.iter().map(|(_, text)| text.as_str()).collect();
        let comma = if opened && !rows.is_empty() { "," } else { "" };
        let (start, end) = (
            if opened { "" } else { "[" },
            if closed { "]\n" } else { "" },
        );
        let text = format!("{start}{comma}{}{end}", rows.join(","));
        opened = true;
        after = page
            .into_iter()
            .next_back()
            .map(|(id, _)| id)
            .or(after.take());
        Some(Bytes::from(text))
    });
    reply(StatusCode::OK, "application/json", Chunks::of(pages))
}

fn id_of(device: &crate::registry::Device) -> String {
    device.identity.device_id.clone()
}

/// One device.
pub(crate) fn get(hub: &Hub, id: &str, query: &str) -> Reply {
    let shown =
        hub.with_registry(|registry, _| registry.get(id).map(|it| views::device(it, keys(query))));
    shown.map_or_else(
        || problem(StatusCode::NOT_FOUND, "no such device"),
        |body| json(StatusCode::OK, body),
    )
}

/// What a device or module connects with. The host has no port: device SDKs have one of their own.
pub(crate) fn connection_string(hub: &Hub, target: &Target) -> Reply {
    let key = hub.with_registry(|registry, _| {
        let key = registry.credentials(target)?.keys().next();
        key.map(str::to_owned)
    });
    let Some(key) = key else {
        let text = "there is no such device or module, it is disabled, or it has no key";
        return problem(StatusCode::NOT_FOUND, text);
    };
    let (host, device) = (hub.name(), &target.device);
    let module = target.module.as_ref();
    let module = module.map_or(String::new(), |id| format!(";ModuleId={id}"));
    let text = format!("HostName={host};DeviceId={device}{module};SharedAccessKey={key}\n");
    reply(
        StatusCode::OK,
        "text/plain",
        Chunks::of(std::iter::once(Bytes::from(text))),
    )
}

/// Creates or changes a device by hand.
pub(crate) fn put(hub: &Hub, id: &str, query: &str, body: &[u8]) -> Reply {
    let edit = match check_id(id).and_then(|()| HandEdit::parse(body)) {
        Ok(edit) => edit,
        Err(error) => return problem(error.status, &error.text),
    };
    let (fresh, keys) = (hub.fresh(), keys(query));
    hub.with_registry(|registry, now| {
        let effect = registry.hand_edit(id, edit, Fresh { now, ..fresh });
        finish(hub, "PUT", id, effect, keys)
    })
}

/// Deletes a device by hand.
pub(crate) fn delete(hub: &Hub, id: &str) -> Reply {
    hub.with_registry(|registry, _| {
        let effect = registry.delete(id, &Precondition::Any);
        finish(hub, "DELETE", id, effect, Keys::Hidden)
    })
}

/// Answers, and writes the edit into the journal while the state is still locked, so that it
/// stands there before anything that follows from it.
fn finish(hub: &Hub, method: &str, id: &str, effect: Effect<'_>, keys: Keys) -> Reply {
    let answer = match effect.result {
        Ok(Some(device)) => json(StatusCode::OK, views::device(device, keys)),
        Ok(None) => nothing(),
        Err(ServiceError { status, text, .. }) => problem(status, &text),
    };
    let now = hub.clock.tick();
    let path = format!("/devices/{id}");
    let mut entry = Entry::arrived(method, &path, Operation::HandEdit, now);
    entry.device = Some(id.into());
    entry.take_effect(effect.trace, now);
    entry.reply(answer.status().as_u16(), now);
    hub.journal.open(entry);
    answer
}
