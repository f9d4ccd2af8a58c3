//! What a request did, told by the code that holds the state.
//!
//! Only that code can say which version a request met and which it left behind, so every operation
//! of the registry returns its trace together with its result, and the journal copies it.

use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::identity::Status;
use crate::registry::Device;

/// What a request did to a device or module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Trace {
    /// Whether it changed state.
    pub(crate) effective: bool,
    /// The etag (the twin's for twin requests) it met.
    pub(crate) etag_before: Option<String>,
    /// The etag it left behind.
    pub(crate) etag_after: Option<String>,
    /// The generation of what it left behind or deleted.
    pub(crate) generation: Option<Ticks>,
    /// The status of the device it left behind.
    pub(crate) status: Option<Status>,
}

/// The outcome of a request, with its trace. `Ok(None)` is the success of a delete.
#[derive(Debug)]
pub(crate) struct Effect<'a, T = Device> {
    pub(crate) result: Result<Option<&'a T>, ServiceError>,
    pub(crate) trace: Trace,
}

/// Whose etag a request is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Facet {
    Identity,
    Twin,
}

/// What a trace notes of a device or module, before and after a request.
pub(super) struct Glimpse {
    pub(super) etag: String,
    pub(super) generation: Ticks,
    pub(super) status: Option<Status>,
}

impl Trace {
    /// The trace of a request that met `before` and left `after`.
    pub(super) fn between(
        effective: bool,
        before: Option<Glimpse>,
        after: Option<Glimpse>,
    ) -> Self {
        let generation = after.as_ref().or(before.as_ref()).map(|it| it.generation);
        Self {
            effective,
            generation,
            status: after.as_ref().and_then(|it| it.status),
            etag_before: before.map(|it| it.etag),
            etag_after: after.map(|it| it.etag),
        }
    }
}
