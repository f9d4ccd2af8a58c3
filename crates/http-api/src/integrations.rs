//! The management API's integrations: at most one a tenant, always a hub.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, LOCATION};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::{Api, Call};
use crate::json::Wrong;
use crate::ports::{Backend, Caller, Integration, Removal, Unavailable};
use crate::reply::Reply;
use crate::{body, credentials};

/// Where integrations are.
const PATH: &str = "/api/management/v1/iot-manager/integrations";

impl<B: Backend> Api<B> {
    pub(crate) async fn integrations(&self, caller: &Caller) -> Result<Reply, Reply> {
        let found = self.found(caller).await?;
        let shown: Vec<_> = found.iter().map(shown).collect();
        Ok(Reply::json(&shown))
    }

    pub(crate) async fn create_integration(
        &self,
        caller: &Caller,
        body: Body,
    ) -> Result<Reply, Reply> {
        let text = body::text(body, self.limits.body).await?;
        let new = credentials::integration(&self.backend, &text).await;
        let new = new.map_err(|Wrong(text)| malformed(&text))?;
        let tenant = &caller.tenant;
        let created = self.backend.create(tenant, new.description, new.key).await;
        if !created.map_err(away)? {
            let text = "integration already exists";
            return Err(Reply::error(StatusCode::CONFLICT, text));
        }
        let location = format!("{PATH}/{}", self.backend.id(tenant));
        let location = HeaderValue::from_str(&location);
        let reply = Reply::empty(StatusCode::CREATED);
        Ok(match location {
            Ok(location) => reply.with(LOCATION, location),
            Err(_) => reply,
        })
    }

    pub(crate) async fn integration(
        &self,
        caller: &Caller,
        call: &Call<'_>,
    ) -> Result<Reply, Reply> {
        let id = id(call.part(0))?;
        let found = self.found(caller).await?;
        let found = found.filter(|found| found.id == id).ok_or_else(missing)?;
        Ok(Reply::json(&shown(&found)))
    }

    pub(crate) async fn set_credentials(
        &self,
        caller: &Caller,
        call: &Call<'_>,
        body: Body,
    ) -> Result<Reply, Reply> {
        let id = id(call.part(0))?;
        let text = body::text(body, self.limits.body).await?;
        let key = credentials::credential(&self.backend, &text).await;
        let key = key.map_err(|Wrong(text)| malformed(&text))?;
        let tenant = &caller.tenant;
        let is_there = id == self.backend.id(tenant)
            && self.backend.set_key(tenant, key).await.map_err(away)?;
        if is_there {
            Ok(Reply::empty(StatusCode::NO_CONTENT))
        } else {
            Err(missing())
        }
    }

    pub(crate) async fn delete_integration(
        &self,
        caller: &Caller,
        call: &Call<'_>,
    ) -> Result<Reply, Reply> {
        let id = id(call.part(0))?;
        if id != self.backend.id(&caller.tenant) {
            return Err(missing());
        }
        match self.backend.remove(&caller.tenant).await.map_err(away)? {
            Removal::Removed => Ok(Reply::empty(StatusCode::NO_CONTENT)),
            Removal::Missing => Err(missing()),
            Removal::InUse => {
                let text = "cannot remove integration in use by devices";
                Err(Reply::error(StatusCode::CONFLICT, text))
            }
        }
    }

    /// The caller's integration.
    pub(crate) async fn found(&self, caller: &Caller) -> Result<Option<Integration>, Reply> {
        let found = self.backend.integration(&caller.tenant).await;
        found.map_err(away)
    }
}

fn shown(integration: &Integration) -> Value {
    let mut shown = json!({
        "id": integration.id,
        "provider": "iot-hub",
        "credentials": {"type": "sas", "connection_string": integration.connection_string},
    });
    if !integration.description.is_empty() {
        shown["description"] = json!(integration.description);
    }
    shown
}

/// Reads an id as Google's parser for Go does.
pub(crate) fn uuid(text: &str) -> Result<Uuid, String> {
    let length = text.len();
    if ![32, 36, 38, 45].contains(&length) {
        return Err(format!("invalid UUID length: {length}"));
    }
    let plain = match (length, text.get(..9)) {
        (45, Some(scheme)) if scheme.eq_ignore_ascii_case("urn:uuid:") => &text[9..],
        (45, _) => return Err("invalid urn prefix".to_owned()),
        _ => text,
    };
    plain.parse().map_err(|_| "invalid UUID format".to_owned())
}

fn id(text: &str) -> Result<Uuid, Reply> {
    uuid(text).map_err(|why| Reply::bad(format!("integration ID must be a valid UUID: {why}")))
}

fn missing() -> Reply {
    Reply::error(StatusCode::NOT_FOUND, "integration not found")
}

fn malformed(text: &str) -> Reply {
    Reply::bad(format!("malformed request body: {text}"))
}

pub(crate) fn away(Unavailable(why): Unavailable) -> Reply {
    Reply::unavailable(why)
}
