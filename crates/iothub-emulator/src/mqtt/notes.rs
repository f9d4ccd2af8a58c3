//! What connected devices do, for the journal: without payloads and proofs, hence without secrets.

use crate::hub::Hub;
use crate::journal::Entry;
use crate::operation::Operation;
use crate::registry::{Target, Trace};

/// An entry about a device; `verb` is the kind of packet, `detail` stands where a query would.
pub(super) fn entry(
    hub: &Hub,
    (verb, operation): (&str, Operation),
    who: &Target,
    detail: &str,
) -> Entry {
    let path = match &who.module {
        None => format!("/devices/{}", who.device),
        Some(module) => format!("/devices/{}/modules/{module}", who.device),
    };
    let mut entry = Entry::arrived(verb, &path, operation, hub.clock.tick());
    entry.device = Some(who.device.as_str().into());
    entry.query = detail.into();
    entry
}

/// Completes an entry with what came of it, as an HTTP status says it.
pub(super) fn done(hub: &Hub, mut entry: Entry, status: u16, effective: bool) -> Entry {
    let now = hub.clock.tick();
    let trace = Trace {
        effective,
        ..Trace::default()
    };
    entry.take_effect(trace, now);
    entry.reply(status, now);
    entry
}
