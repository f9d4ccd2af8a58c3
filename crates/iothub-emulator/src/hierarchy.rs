//! Which gateway a device belongs to: `deviceScope` and `parentScopes`.
//!
//! An edge device owns a scope that never changes; a leaf points at its parent's. The hub works
//! most of this out itself, so the rules are one function over old state and wish.

use http::StatusCode;

use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::identity::{Identity, IdentityEdit};

/// The scopes an identity ends up with.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Scopes {
    /// `deviceScope`.
    pub(crate) own: Option<String>,
    /// `parentScopes`.
    pub(crate) parents: Vec<String>,
}

/// Works out the scopes of device `id` after `edit`. `before` is its present state, if any.
pub(crate) fn scopes(
    id: &str,
    edit: &IdentityEdit,
    before: Option<&Identity>,
    now: Ticks,
) -> Result<Scopes, ServiceError> {
    let wished = edit
        .device_scope
        .as_deref()
        .filter(|scope| !scope.is_empty());
    let was_edge = before.map(|before| before.capabilities.iot_edge);
    if !edit.capabilities.iot_edge {
        // A gateway that becomes a leaf loses its parent; a leaf names its parent by that scope.
        let own = wished.filter(|_| was_edge != Some(true)).map(str::to_owned);
        let parents = own.iter().cloned().collect();
        return Ok(Scopes { own, parents });
    }
    if edit.parent_scopes.len() > 1 {
        return Err(ServiceError::invalid_scope(
            "A device has at most one parent scope.",
        ));
    }
    let own = match (before, was_edge) {
        (Some(before), Some(true)) if wished == before.device_scope.as_deref() => {
            before.device_scope.clone()
        }
        (Some(_), Some(true)) => {
            return Err(ServiceError::invalid_scope("Device scope is immutable"));
        }
        // Seen on the real service: turning a leaf into a gateway fails while it names a parent.
        (Some(_), _) if wished.is_some() => {
            return Err(ServiceError::injected(
                StatusCode::SERVICE_UNAVAILABLE,
                None,
            ));
        }
        (Some(_), _) => Some(format!("ms-azure-iot-edge://{id}-")),
        (None, _) => Some(format!("ms-azure-iot-edge://{id}-{}", now.count())),
    };
    Ok(Scopes {
        own,
        parents: edit.parent_scopes.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authentication::FreshKeys;
    use crate::etag::IdentityEtag;
    use crate::identity::IdentityDraft;
    use serde_json::{Value, json};

    const NOW: Ticks = Ticks::from_unix_micros(1_767_225_600_000_000);

    fn edit(mut fields: Value) -> IdentityEdit {
        fields["deviceId"] = json!("d");
        IdentityDraft::parse(fields.to_string().as_bytes())
            .unwrap()
            .check("d")
            .unwrap()
    }

    fn device(fields: Value) -> Identity {
        let keys = FreshKeys {
            primary: String::new(),
            secondary: String::new(),
        };
        Identity::create("d", edit(fields), NOW, IdentityEtag::first(1), keys).unwrap()
    }

    fn edge() -> Value {
        json!({"capabilities": {"iotEdge": true}})
    }

    #[test]
    fn a_new_gateway_gets_a_scope_of_its_own() {
        let made = device(edge());
        assert_eq!(
            made.device_scope,
            Some(format!("ms-azure-iot-edge://d-{}", NOW.count()))
        );
        assert!(made.parent_scopes.is_empty());
    }

    #[test]
    fn a_leaf_that_names_a_scope_has_it_as_its_parent_too() {
        let made = device(json!({"deviceScope": "ms-azure-iot-edge://gw-1"}));
        assert_eq!(made.parent_scopes, ["ms-azure-iot-edge://gw-1"]);
        let ignored = device(json!({"parentScopes": ["ms-azure-iot-edge://gw-1"]}));
        assert_eq!(
            (ignored.device_scope, ignored.parent_scopes),
            (None, vec![])
        );
    }

    #[test]
    fn a_gateway_must_send_its_scope_back() {
        let before = device(edge());
        let error = scopes("d", &edit(edge()), Some(&before), NOW).unwrap_err();
        assert_eq!(
            (error.status.as_u16(), error.name.as_ref()),
            (400, "InvalidDeviceScope")
        );
        let mut same = edge();
        same["deviceScope"] = json!(before.device_scope);
        assert_eq!(
            scopes("d", &edit(same), Some(&before), NOW).unwrap().own,
            before.device_scope
        );
    }

    #[test]
    fn a_leaf_turned_gateway_gets_a_scope_without_digits_or_503() {
        let before = device(json!({}));
        let turned = scopes("d", &edit(edge()), Some(&before), NOW).unwrap();
        assert_eq!(turned.own.as_deref(), Some("ms-azure-iot-edge://d-"));
        let mut with_parent = edge();
        with_parent["deviceScope"] = json!("ms-azure-iot-edge://gw-1");
        assert_eq!(
            scopes("d", &edit(with_parent), Some(&before), NOW)
                .unwrap_err()
                .status,
            503
        );
    }

    #[test]
    fn a_gateway_turned_leaf_loses_its_scopes() {
        let before = device(edge());
        let wish = edit(json!({"deviceScope": before.device_scope}));
        assert_eq!(
            scopes("d", &wish, Some(&before), NOW).unwrap(),
            Scopes::default()
        );
    }
}
