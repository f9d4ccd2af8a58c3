//! Identities that do not exist yet.

use serde_json::{Map, Value, json};

use super::{Identity, Status, check_reason};
use crate::authentication::Authentication;
use crate::device_id::DeviceId;
use crate::error::Result;

/// What to create.
///
/// ```
/// use iothub::{NewIdentity, Status};
///
/// let new = NewIdentity { status: Status::Disabled, ..NewIdentity::new("dev-1".parse()?) };
/// assert!(!new.iot_edge);
/// # Ok::<(), iothub::InvalidDeviceId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// The id, in the exact case it will have.
    pub device_id: DeviceId,
    /// Whether the device may connect at once.
    pub status: Status,
    /// Any text of at most [`crate::MAX_STATUS_REASON`] characters.
    pub status_reason: Option<String>,
    /// How the device will prove who it is. The hub makes keys unless told otherwise.
    pub authentication: Authentication,
    /// Whether it is an IoT Edge device, which may be a gateway for others.
    pub iot_edge: bool,
    /// The scope of its gateway: see [`NewIdentity::child_of`].
    pub parent_scope: Option<String>,
}

impl NewIdentity {
    /// An enabled device with keys that the hub makes, that is no IoT Edge device and has no
    /// gateway.
    #[must_use]
    pub fn new(device_id: DeviceId) -> Self {
        Self {
            device_id,
            status: Status::Enabled,
            status_reason: None,
            authentication: Authentication::default(),
            iot_edge: false,
            parent_scope: None,
        }
    }

    /// The same device behind a gateway. Refused unless `gateway` is an IoT Edge device as the hub
    /// sent it.
    pub fn child_of(mut self, gateway: &Identity) -> Result<Self> {
        self.parent_scope = Some(gateway.scope_as_gateway()?.to_owned());
        Ok(self)
    }

    /// The body of the creating request.
    pub(crate) fn to_body(&self) -> Result<Vec<u8>> {
        let mut fields = self.fields()?;
        fields.insert("deviceId".into(), self.device_id.as_str().into());
        Ok(Value::Object(fields).to_string().into_bytes())
    }

    /// Everything but the id, whose name differs from call to call.
    pub(crate) fn fields(&self) -> Result<Map<String, Value>> {
        check_reason(self.status_reason.as_deref())?;
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        set("status", self.status.as_str().into());
        if let Some(reason) = &self.status_reason {
            set("statusReason", reason.as_str().into());
        }
        if let Some(authentication) = self.authentication.to_field() {
            set("authentication", authentication);
        }
        if self.iot_edge {
            set("capabilities", json!({"iotEdge": true}));
        }
        match (&self.parent_scope, self.iot_edge) {
            (None, _) => {}
            // A gateway keeps the scope the hub gives it and names its parent beside it; any
            // other device takes on the scope of its parent.
            (Some(scope), true) => drop(set("parentScopes", json!([scope]))),
            (Some(scope), false) => drop(set("deviceScope", json!(scope))),
        }
        Ok(fields)
    }
}
