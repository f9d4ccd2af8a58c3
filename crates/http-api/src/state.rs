//! The management API's device states: twins, as Mender shows them.

use axum::body::Body;
use axum::http::header::{ETAG, HeaderValue, IF_MATCH};
use axum::http::{HeaderMap, StatusCode};
use messages::DeviceId;
use messages::twin::parse_set;
use serde_json::{Value, json};

use crate::api::{Api, Call};
use crate::body;
use crate::integrations::uuid;
use crate::json::{Object, Wrong};
use crate::ports::{Backend, Caller, DeviceState, StateError};
use crate::reply::Reply;

/// What the hub adds to each half.
const BOOKKEEPING: [&str; 2] = ["$metadata", "$version"];
const NO_DEVICE: &str = "device not found";
const NO_INTEGRATION: &str = "integration not found";
const CHANGED: &str = "conflict when updating the device state";

impl<B: Backend> Api<B> {
    /// The twin in each of the tenant's integrations, of which there is one.
    pub(crate) async fn states(&self, caller: &Caller, call: &Call<'_>) -> Result<Reply, Reply> {
        let device = device(call.part(0), NO_DEVICE)?;
        let found = self.read(caller, &device, NO_DEVICE).await?;
        let id = self.backend.id(&caller.tenant).to_string();
        Ok(Reply::json(&json!({id: shown(found)})))
    }

    pub(crate) async fn state(&self, caller: &Caller, call: &Call<'_>) -> Result<Reply, Reply> {
        let device = self.place(caller, call)?;
        let found = self.read(caller, &device, NO_INTEGRATION).await?;
        Ok(tagged(found))
    }

    pub(crate) async fn replace_state(
        &self,
        caller: &Caller,
        call: &Call<'_>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Reply, Reply> {
        let device = self.place(caller, call);
        let text = body::text(body, self.limits.body).await?;
        let malformed = |Wrong(text)| Reply::bad(format!("malformed request body: {text}"));
        let device = device?;
        let desired = desired(&text).map_err(malformed)?;
        let etags = etags(headers)?;
        let within = self.limits.twin_within;
        let edit = async {
            let etag = match etags {
                None => None,
                Some(etags) => {
                    let now = self
                        .backend
                        .state(&caller.tenant, &device, None)
                        .await?
                        .etag;
                    Some(
                        etags
                            .into_iter()
                            .find(|etag| *etag == now)
                            .ok_or(StateError::Conflict)?,
                    )
                }
            };
            let edit = self
                .backend
                .replace_desired(caller, &device, desired, etag.as_deref());
            edit.await
        };
        match tokio::time::timeout(within, edit).await {
            Ok(Ok(state)) => Ok(tagged(state)),
            Ok(Err(error)) => Err(failed(error, NO_INTEGRATION)),
            Err(_) => Err(failed(StateError::TimedOut, NO_INTEGRATION)),
        }
    }

    async fn read(
        &self,
        caller: &Caller,
        device: &DeviceId,
        missing: &str,
    ) -> Result<DeviceState, Reply> {
        let read = self.backend.state(&caller.tenant, device, None);
        match tokio::time::timeout(self.limits.twin_within, read).await {
            Ok(read) => read.map_err(|error| failed(error, missing)),
            Err(_) => Err(failed(StateError::TimedOut, missing)),
        }
    }

    /// The device of a path that also names the integration.
    fn place(&self, caller: &Caller, call: &Call<'_>) -> Result<DeviceId, Reply> {
        if call.part(0).is_empty() {
            return Err(Reply::bad("device ID is empty"));
        }
        let integration = uuid(call.part(1));
        let integration =
            integration.map_err(|_| Reply::bad("integration ID is not a valid UUID"))?;
        if integration != self.backend.id(&caller.tenant) {
            return Err(not_found(NO_INTEGRATION));
        }
        device(call.part(0), NO_INTEGRATION)
    }
}

fn device(text: &str, missing: &str) -> Result<DeviceId, Reply> {
    if text.is_empty() {
        return Err(Reply::bad("device ID is empty"));
    }
    text.parse().map_err(|_| not_found(missing))
}

fn not_found(text: &str) -> Reply {
    Reply::error(StatusCode::NOT_FOUND, text)
}

/// Never 401: the web UI would log its user out.
fn failed(error: StateError, missing: &str) -> Reply {
    match error {
        StateError::NotFound => not_found(missing),
        StateError::Conflict => Reply::error(StatusCode::CONFLICT, CHANGED),
        StateError::Invalid(why) => Reply::bad(format!("malformed request body: {why}")),
        StateError::Throttled => {
            let text = "too many requests; try again later";
            Reply::error(StatusCode::TOO_MANY_REQUESTS, text).retry_after()
        }
        StateError::HubRefused => Reply::error(StatusCode::BAD_GATEWAY, "the hub refused"),
        StateError::HubUnavailable => {
            Reply::error(StatusCode::BAD_GATEWAY, "the hub cannot be reached")
        }
        StateError::TimedOut => Reply::error(
            StatusCode::GATEWAY_TIMEOUT,
            "the hub did not answer in time",
        ),
        StateError::Unavailable => Reply::unavailable("the state of devices cannot be reached now"),
    }
}

/// One integration's state, under its name.
fn tagged(state: DeviceState) -> Reply {
    let etag = HeaderValue::from_str(&format!("\"{}\"", state.etag));
    let reply = Reply::json(&shown(state));
    match etag {
        Ok(etag) => reply.with(ETAG, etag),
        Err(_) => reply,
    }
}

/// The two halves without the hub's bookkeeping, which stands at their tops.
fn shown(state: DeviceState) -> Value {
    let half = |section| match section {
        Value::Object(mut fields) => {
            fields.retain(|key, _| !BOOKKEEPING.contains(&key.as_str()));
            Value::Object(fields)
        }
        _ => json!({}),
    };
    json!({"desired": half(state.desired), "reported": half(state.reported)})
}

/// The desired properties of an edit. The hub's own keys, which a page may send back as it got
/// them, are left out at the top and refused further down. A null is what is not to be there.
fn desired(text: &str) -> Result<Value, Wrong> {
    let fields = Object::read(text)?.object("desired")?;
    let kept = fields
        .entries()
        .filter(|(key, _)| !BOOKKEEPING.contains(key));
    let kept: Vec<_> = kept
        .map(|(key, value)| format!("{}:{value}", json!(key)))
        .collect();
    let desired = format!("{{{}}}", kept.join(","));
    let request = match messages::strict_value(desired.as_bytes()) {
        Ok(mut desired) => {
            remove_nulls(&mut desired);
            json!({"desired": desired}).to_string()
        }
        // Its errors name the place.
        Err(_) => format!("{{\"desired\":{desired}}}"),
    };
    let request = parse_set(request.as_bytes());
    Ok(request.map_err(|error| Wrong(error.to_string()))?.desired)
}

fn remove_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(remove_nulls);
    }
}

/// `If-Match`, as the ETags it names; `None` if any will do.
fn etags(headers: &HeaderMap) -> Result<Option<Vec<String>>, Reply> {
    let mut etags = Vec::new();
    for value in headers.get_all(IF_MATCH) {
        let text = value
            .to_str()
            .map_err(|_| Reply::bad("If-Match is not a list of ETags"))?;
        let names = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        etags.extend(names.map(|name| {
            // A proxy that compresses makes an ETag weak.
            let name = name.strip_prefix("W/").unwrap_or(name);
            name.trim_matches('"').to_owned()
        }));
    }
    let any = etags.is_empty() || etags.iter().any(|etag| etag == "*");
    Ok((!any).then_some(etags))
}
