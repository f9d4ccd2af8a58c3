//! Module identities: smaller than devices, with rules of their own.
//!
//! A module has no status and no scopes; what it has is written in full by every PUT, like a
//! device. An edge device brings two modules along that nobody but the hub may write.

use serde::{Deserialize, Serialize};

use crate::authentication::{Authentication, AuthenticationDraft, AuthenticationEdit, FreshKeys};
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::IdentityEtag;
use crate::identity::check_id;
use crate::life::Life;
use crate::twin::Twin;

/// Most modules one device may have, those of the edge runtime included.
pub(crate) const MAX_MODULES: usize = 50;
/// The modules that come with an edge device.
pub(crate) const SYSTEM_MODULES: [&str; 2] = ["$edgeAgent", "$edgeHub"];
/// Who manages them.
const EDGE_RUNTIME: &str = "iotEdge";

/// A module with its twin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Module {
    pub(crate) identity: ModuleIdentity,
    pub(crate) twin: Twin,
    pub(crate) life: Life,
}

/// A stored module identity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ModuleIdentity {
    pub(crate) module_id: String,
    /// Ticks of its creation, unique in the hub.
    pub(crate) generation: Ticks,
    pub(crate) etag: IdentityEtag,
    /// Free text; `iotEdge` on the modules of the edge runtime.
    pub(crate) managed_by: Option<String>,
    pub(crate) authentication: Authentication,
}

/// The body of a PUT, as far as a caller may write it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ModuleDraft {
    pub(crate) device_id: Option<String>,
    pub(crate) module_id: Option<String>,
    pub(crate) managed_by: Option<String>,
    pub(crate) authentication: Option<AuthenticationDraft>,
}

/// A draft that passed every rule that needs no stored state.
#[derive(Debug, Clone)]
pub(crate) struct ModuleEdit {
    pub(crate) managed_by: Option<String>,
    pub(crate) authentication: AuthenticationEdit,
}

impl ModuleDraft {
    /// Reads a request body; the reason given to the caller names a place, never the content.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ServiceError> {
        serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            ServiceError::invalid(format!("The request body is not a valid module: {place}."))
        })
    }

    /// Applies the rules; the ids in the body must be those of the path.
    pub(crate) fn check(self, device: &str, module: &str) -> Result<ModuleEdit, ServiceError> {
        check_writable(module)?;
        if self.device_id.as_deref() != Some(device) || self.module_id.as_deref() != Some(module) {
            let text = "The IDs in the request body do not match those in the URI.";
            return Err(ServiceError::invalid(text));
        }
        let authentication = self
            .authentication
            .map(AuthenticationDraft::with_none_as_sas);
        Ok(ModuleEdit {
            managed_by: self.managed_by,
            authentication: AuthenticationEdit::check(authentication)?,
        })
    }
}

/// Refuses ids that are malformed, and those that belong to the hub.
pub(crate) fn check_writable(module: &str) -> Result<(), ServiceError> {
    check_id(module)?;
    if module.starts_with('$') {
        let text = "Module IDs that start with '$' are reserved for the system.";
        return Err(ServiceError::invalid(text));
    }
    Ok(())
}

impl ModuleIdentity {
    /// A new identity. `generation` must be later than any other of this hub.
    pub(crate) fn create(
        id: &str,
        edit: ModuleEdit,
        generation: Ticks,
        etag: IdentityEtag,
        keys: FreshKeys,
    ) -> Self {
        Self {
            module_id: id.to_owned(),
            generation,
            etag,
            managed_by: edit.managed_by,
            authentication: edit.authentication.resolve(None, keys),
        }
    }

    /// Replaces everything a caller may write and moves the etag.
    pub(crate) fn replace(&mut self, edit: ModuleEdit, keys: FreshKeys) {
        self.managed_by = edit.managed_by;
        self.authentication = edit
            .authentication
            .resolve(Some(&self.authentication), keys);
        self.etag = self.etag.next();
    }
}

impl Module {
    /// One of the modules an edge device brings along.
    pub(crate) fn of_edge_runtime(id: &str, generation: Ticks, etag: IdentityEtag) -> Self {
        let identity = ModuleIdentity {
            module_id: id.to_owned(),
            generation,
            etag,
            managed_by: Some(EDGE_RUNTIME.to_owned()),
            authentication: Authentication::none(),
        };
        Self {
            identity,
            twin: Twin::new(Ticks::NEVER),
            life: Life::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(body: &Value) -> Result<ModuleEdit, ServiceError> {
        ModuleDraft::parse(body.to_string().as_bytes())
            .unwrap()
            .check("d", "m")
    }

    fn keys() -> FreshKeys {
        FreshKeys {
            primary: "p".to_owned(),
            secondary: "s".to_owned(),
        }
    }

    #[test]
    fn a_module_names_itself_and_its_device() {
        assert!(check(&json!({"deviceId": "d", "moduleId": "m"})).is_ok());
        for body in [
            json!({"deviceId": "d"}),
            json!({"moduleId": "m"}),
            json!({"deviceId": "x", "moduleId": "m"}),
        ] {
            assert_eq!(check(&body).unwrap_err().status, 400, "{body}");
        }
    }

    #[test]
    fn ids_of_the_system_are_not_for_callers() {
        assert!(check_writable("edgeAgent").is_ok());
        assert!(check_writable("a$b").is_ok());
        assert_eq!(check_writable("$edgeAgent").unwrap_err().status, 400);
        assert_eq!(check_writable("a b").unwrap_err().status, 400);
    }

    #[test]
    fn authentication_none_silently_becomes_sas_with_new_keys() {
        let body = json!({"deviceId": "d", "moduleId": "m", "authentication": {"type": "none"}});
        let etag = IdentityEtag::first(1);
        let made = ModuleIdentity::create("m", check(&body).unwrap(), Ticks::NEVER, etag, keys());
        let shown = serde_json::to_value(&made.authentication).unwrap();
        assert_eq!(shown["type"], "sas");
        assert_eq!(shown["symmetricKey"]["primaryKey"], "p");
    }

    #[test]
    fn a_replacement_without_authentication_rotates_the_keys_and_drops_the_manager() {
        let body = json!({"deviceId": "d", "moduleId": "m", "managedBy": "me"});
        let etag = IdentityEtag::first(1);
        let mut made =
            ModuleIdentity::create("m", check(&body).unwrap(), Ticks::NEVER, etag, keys());
        assert_eq!(made.managed_by.as_deref(), Some("me"));
        let other = FreshKeys {
            primary: "q".to_owned(),
            ..keys()
        };
        made.replace(
            check(&json!({"deviceId": "d", "moduleId": "m"})).unwrap(),
            other,
        );
        assert_eq!(
            made.authentication.symmetric_key.primary_key.as_deref(),
            Some("q")
        );
        assert_eq!((made.managed_by, made.etag), (None, etag.next()));
    }

    #[test]
    fn edge_modules_have_no_keys() {
        let made = Module::of_edge_runtime("$edgeHub", Ticks::NEVER, IdentityEtag::first(1));
        let shown = serde_json::to_value(&made.identity.authentication).unwrap();
        assert_eq!(shown["type"], "none");
        assert_eq!(shown["symmetricKey"]["primaryKey"], Value::Null);
        assert_eq!(made.identity.managed_by.as_deref(), Some("iotEdge"));
    }
}
