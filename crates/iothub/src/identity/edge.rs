//! IoT Edge: gateways and the devices behind them.
//!
//! A gateway has a scope, which the hub makes and which must be sent back with every update. A
//! plain device belongs to a gateway if its `deviceScope` is that scope; a gateway below another
//! one keeps its own and names the other's in `parentScopes`, of which there is at most one.

use serde_json::{Value, json};

use super::Identity;
use crate::error::{Error, Result};

const CAPABILITIES: &str = "capabilities";
const DEVICE_SCOPE: &str = "deviceScope";
const PARENT_SCOPES: &str = "parentScopes";

impl Identity {
    /// Whether it is an IoT Edge device.
    #[must_use]
    pub fn is_edge(&self) -> bool {
        let capabilities = self.field(CAPABILITIES);
        capabilities.and_then(|found| found.get("iotEdge")?.as_bool()) == Some(true)
    }

    /// Its own scope if it is an IoT Edge device, its gateway's if not.
    #[must_use]
    pub fn device_scope(&self) -> Option<&str> {
        self.document.text(DEVICE_SCOPE)
    }

    /// The scope of its gateway, at most one as the hub has it.
    pub fn parent_scopes(&self) -> impl Iterator<Item = &str> {
        let scopes = self.field(PARENT_SCOPES).and_then(Value::as_array);
        scopes.into_iter().flatten().filter_map(Value::as_str)
    }

    /// Puts the device behind a gateway, once the identity is sent back. Refused unless `gateway`
    /// is another device, and an IoT Edge device.
    ///
    /// ```
    /// use iothub::Identity;
    ///
    /// let gateway = Identity::from_json(br#"{"deviceId":"gw","capabilities":{"iotEdge":true},
    ///     "deviceScope":"ms-azure-iot-edge://gw-637"}"#)?;
    /// let mut child = Identity::from_json(br#"{"deviceId":"dev-1"}"#)?;
    /// child.set_parent(&gateway)?;
    /// assert_eq!(child.device_scope(), Some("ms-azure-iot-edge://gw-637"));
    /// # Ok::<(), iothub::Error>(())
    /// ```
    pub fn set_parent(&mut self, gateway: &Self) -> Result<()> {
        let scope = gateway.scope_as_gateway()?;
        if gateway.device_id() == self.device_id() {
            return Err(Error::invalid("a gateway is not its own parent"));
        }
        if !self.is_edge() {
            self.document.set(DEVICE_SCOPE, scope);
        }
        self.document.set(PARENT_SCOPES, json!([scope]));
        Ok(())
    }

    /// Takes the device from behind its gateway, once the identity is sent back.
    pub fn clear_parent(&mut self) {
        if self.is_edge() {
            self.document.set(PARENT_SCOPES, json!([]));
        } else {
            self.document.remove(DEVICE_SCOPE);
            self.document.remove(PARENT_SCOPES);
        }
    }

    /// Makes it an IoT Edge device or a plain one, once the identity is sent back. Either way it
    /// loses its gateway, because the hub refuses both changes at once.
    pub fn set_edge(&mut self, edge: bool) {
        if edge == self.is_edge() {
            return;
        }
        self.document.remove(PARENT_SCOPES);
        if edge {
            // The hub makes a scope out of an empty one.
            self.document.set(DEVICE_SCOPE, "");
        } else {
            self.document.remove(DEVICE_SCOPE);
        }
        let mut capabilities = self.field(CAPABILITIES).cloned().unwrap_or_default();
        if !capabilities.is_object() {
            capabilities = json!({});
        }
        capabilities["iotEdge"] = edge.into();
        self.document.set(CAPABILITIES, capabilities);
    }

    /// The scope that makes other devices children of this one.
    pub(crate) fn scope_as_gateway(&self) -> Result<&str> {
        let scope = self.device_scope().filter(|scope| !scope.is_empty());
        scope
            .filter(|_| self.is_edge())
            .ok_or_else(|| Error::invalid("only an IoT Edge device with a scope can be a gateway"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::identity::NewIdentity;

    const SCOPE: &str = "ms-azure-iot-edge://gw-637";

    fn read(value: &Value) -> Identity {
        Identity::from_json(value.to_string().as_bytes()).unwrap()
    }

    fn edge(id: &str) -> Identity {
        let scope = format!("ms-azure-iot-edge://{id}-637");
        read(
            &json!({"deviceId": id, "capabilities": {"iotEdge": true, "x": 1},
            "deviceScope": scope, "authentication": {}}),
        )
    }

    fn leaf() -> Identity {
        read(&json!({"deviceId": "leaf", "capabilities": {"iotEdge": false}, "authentication": {}}))
    }

    fn body(identity: &Identity) -> Value {
        serde_json::from_slice(&identity.to_body().unwrap()).unwrap()
    }

    #[test]
    fn a_leaf_takes_on_the_scope_of_its_gateway_and_can_leave_it() {
        let mut leaf = leaf();
        let before = body(&leaf);
        leaf.set_parent(&edge("gw")).unwrap();
        assert_eq!(leaf.device_scope(), Some(SCOPE));
        assert_eq!(leaf.parent_scopes().collect::<Vec<_>>(), [SCOPE]);
        leaf.clear_parent();
        assert_eq!(body(&leaf), before);
    }

    #[test]
    fn a_gateway_keeps_its_own_scope_below_another() {
        let mut child = edge("child");
        child.set_parent(&edge("gw")).unwrap();
        assert_eq!(child.device_scope(), Some("ms-azure-iot-edge://child-637"));
        assert_eq!(child.parent_scopes().collect::<Vec<_>>(), [SCOPE]);
        child.clear_parent();
        assert_eq!(body(&child)["parentScopes"], json!([]));
        assert_eq!(child.device_scope(), Some("ms-azure-iot-edge://child-637"));
    }

    #[test]
    fn only_another_edge_device_can_be_a_gateway() {
        let unscoped = read(&json!({"deviceId": "e", "capabilities": {"iotEdge": true}}));
        for gateway in [leaf(), unscoped] {
            let refused = edge("child").set_parent(&gateway).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid);
        }
        assert_eq!(
            edge("gw").set_parent(&edge("gw")).unwrap_err().kind(),
            Kind::Invalid
        );
    }

    #[test]
    fn a_device_becomes_an_edge_device_and_back() {
        let mut device = leaf();
        device.set_parent(&edge("gw")).unwrap();
        device.set_edge(true);
        assert_eq!(
            body(&device),
            json!({"deviceId": "leaf", "capabilities": {"iotEdge": true}, "deviceScope": "",
                "authentication": {}})
        );
        let mut gateway = edge("gw");
        gateway.set_edge(false);
        assert_eq!(
            body(&gateway),
            json!({"deviceId": "gw", "capabilities": {"iotEdge": false, "x": 1},
                "authentication": {}})
        );
    }

    #[test]
    fn a_new_device_can_begin_behind_a_gateway() {
        let new = |iot_edge| NewIdentity {
            iot_edge,
            ..NewIdentity::new("c".parse().unwrap())
                .child_of(&edge("gw"))
                .unwrap()
        };
        let leaf = new(false).fields().unwrap();
        assert_eq!(
            (leaf.get("deviceScope"), leaf.get("parentScopes")),
            (Some(&json!(SCOPE)), None)
        );
        let edge = new(true).fields().unwrap();
        assert_eq!(
            (edge.get("deviceScope"), edge.get("parentScopes")),
            (None, Some(&json!([SCOPE])))
        );
        assert_eq!(edge["capabilities"], json!({"iotEdge": true}));
    }
}
