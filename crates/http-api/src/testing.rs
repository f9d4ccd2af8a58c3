//! A backend in memory, and requests to it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lifecycle::Event;
use messages::{DeviceId, ModuleId, TenantId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ports::{
    Caller, DeviceState, EventLog, HubKey, Intake, Integration, Integrations, Logged, Refusal,
    Removal, StateError, Twins, Unavailable, Users, Wish,
};
use crate::tests::described;
use crate::{Api, Limits, Offered, masked};

pub(crate) const INTERNAL: &str = "/api/internal/v1/iot-manager";
pub(crate) const MANAGEMENT: &str = "/api/management/v1/iot-manager";
pub(crate) const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";

/// What the backend holds, and how it is to fail.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) events: Vec<Event>,
    pub(crate) integrations: HashMap<TenantId, (String, HubKey)>,
    pub(crate) in_use: bool,
    pub(crate) twins: HashMap<DeviceId, DeviceState>,
    pub(crate) modules: HashMap<(DeviceId, ModuleId), DeviceState>,
    pub(crate) log: Vec<Logged>,
    pub(crate) forgotten: Vec<TenantId>,
    pub(crate) is_away: bool,
    pub(crate) hangs: bool,
    pub(crate) trouble: Option<StateError>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) wishes: Vec<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<Held>);

impl Memory {
    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap()
    }

    async fn reach(&self) -> Result<MutexGuard<'_, Held>, Unavailable> {
        if self.held().hangs {
            std::future::pending::<()>().await;
        }
        let held = self.held();
        if held.is_away {
            return Err(Unavailable("the message broker is away".to_owned()));
        }
        Ok(held)
    }
}

impl Intake for Memory {
    async fn store(&self, event: Event) -> Result<(), Unavailable> {
        self.reach().await?.events.push(event);
        Ok(())
    }

    async fn health(&self) -> Result<(), Unavailable> {
        self.reach().await.map(drop)
    }

    async fn forget(&self, tenant: &TenantId) -> Result<(), Unavailable> {
        self.reach().await?.forgotten.push(tenant.clone());
        Ok(())
    }
}

impl Integrations for Memory {
    fn id(&self, tenant: &TenantId) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, tenant.as_str().as_bytes())
    }

    fn trusts(&self, host: &str) -> bool {
        assert_ne!(host, "panic");
        host.ends_with(".azure-devices.net")
    }

    async fn resolves(&self, host: &str) -> bool {
        !host.starts_with("nobody.")
    }

    async fn integration(&self, tenant: &TenantId) -> Result<Option<Integration>, Unavailable> {
        let held = self.reach().await?;
        let found = held.integrations.get(tenant);
        Ok(found.map(|(description, key)| Integration {
            id: self.id(tenant),
            description: description.clone(),
            connection_string: masked(&key.host, &key.policy, &key.key),
        }))
    }

    async fn create(
        &self,
        tenant: &TenantId,
        description: String,
        key: HubKey,
    ) -> Result<bool, Unavailable> {
        let mut held = self.reach().await?;
        if held.integrations.contains_key(tenant) {
            return Ok(false);
        }
        held.integrations.insert(tenant.clone(), (description, key));
        Ok(true)
    }

    async fn set_key(&self, tenant: &TenantId, key: HubKey) -> Result<bool, Unavailable> {
        let mut held = self.reach().await?;
        let found = held.integrations.get_mut(tenant);
        Ok(found.map(|(_, old)| *old = key).is_some())
    }

    async fn remove(&self, tenant: &TenantId) -> Result<Removal, Unavailable> {
        let mut held = self.reach().await?;
        if held.in_use {
            return Ok(Removal::InUse);
        }
        Ok(match held.integrations.remove(tenant) {
            Some(_) => Removal::Removed,
            None => Removal::Missing,
        })
    }
}

impl Twins for Memory {
    async fn state(
        &self,
        _: &TenantId,
        device: &DeviceId,
        module: Option<&ModuleId>,
    ) -> Result<DeviceState, StateError> {
        if self.held().hangs {
            std::future::pending::<()>().await;
        }
        let held = self.held();
        if let Some(trouble) = &held.trouble {
            return Err(trouble.clone());
        }
        let found = match module {
            None => held.twins.get(device),
            Some(module) => held.modules.get(&(device.clone(), module.clone())),
        };
        found.cloned().ok_or(StateError::NotFound)
    }

    async fn replace_desired(
        &self,
        caller: &Caller,
        device: &DeviceId,
        desired: Value,
        etag: Option<&str>,
    ) -> Result<DeviceState, StateError> {
        let mut state = self.state(&caller.tenant, device, None).await?;
        if etag.is_some_and(|etag| etag != state.etag) {
            return Err(StateError::Conflict);
        }
        state.desired = desired;
        state.etag.push('2');
        self.held().twins.insert(device.clone(), state.clone());
        Ok(state)
    }
}

impl EventLog for Memory {
    async fn newest(&self, _: &TenantId, most: usize) -> Result<Vec<Logged>, Unavailable> {
        let held = self.reach().await?;
        Ok(held.log.iter().take(most).cloned().collect())
    }
}

impl Users for Memory {
    async fn check(&self, caller: &Caller, wish: Wish<'_>) -> Result<(), Refusal> {
        let mut held = self.held();
        held.wishes.push(format!("{}: {wish:?}", caller.subject));
        held.refusal.clone().map_or(Ok(()), Err)
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(
            self.headers["content-type"],
            "application/json; charset=utf-8"
        );
        serde_json::from_str(&self.body).unwrap()
    }

    /// The text of an error, whose form is checked.
    pub(crate) fn error(&self) -> String {
        let body = self.json();
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        assert_eq!(
            body["request_id"],
            json!(self.headers["x-men-requestid"].to_str().unwrap())
        );
        body["error"].as_str().unwrap().to_owned()
    }
}

/// Both APIs over a backend in memory.
pub(crate) struct World {
    pub(crate) api: Api<Memory>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self {
            api: Api::new(Memory::default(), limits),
        }
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.api.backend.held()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let offered = Offered {
            internal: true,
            management: true,
        };
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = read(self.api.answer(offered, request).await).await;
        described::check(&method, &path, &answer);
        answer
    }

    /// A request of the internal API, such as `POST /tenants//devices`.
    pub(crate) async fn internal(&self, line: &str, body: &str) -> Answer {
        self.send(request(INTERNAL, line, &[], body)).await
    }

    /// A request of the management API, of the user `ann` of the tenant `t1`.
    pub(crate) async fn management(&self, line: &str, body: &str) -> Answer {
        self.of(&token(&claims("ann", "t1")), line, body).await
    }

    /// The same with another token.
    pub(crate) async fn of(&self, token: &str, line: &str, body: &str) -> Answer {
        let header = ("authorization", format!("Bearer {token}"));
        self.send(request(MANAGEMENT, line, &[header], body)).await
    }
}

/// `line` is method and path, without the prefix.
pub(crate) fn request(
    prefix: &str,
    line: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Request<Body> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{prefix}{path}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

pub(crate) fn claims(user: &str, tenant: &str) -> Value {
    json!({"sub": user, "mender.user": true, "mender.tenant": tenant, "iss": "mender.useradm"})
}

pub(crate) fn token(claims: &Value) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!(
        "{}.{}.{}",
        part("{}"),
        part(&claims.to_string()),
        part("signature")
    )
}

/// A connection string of a hub that is trusted.
pub(crate) fn connection_string() -> String {
    format!("HostName=h.azure-devices.net;SharedAccessKeyName=mender;SharedAccessKey={KEY}")
}

async fn read(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}
