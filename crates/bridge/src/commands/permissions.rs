//! Whether a credential may do what the worker does, found out without leaving a trace.
//!
//! Each request is about a device that no hub has, and each change names a version of it. A hub
//! looks at permissions first, so one that answers "no such device" has granted the permission.

use anyhow::bail;
use iothub::{DeviceId, Error, Hub, Identity, Kind};
use serde_json::json;
use uuid::Uuid;

use crate::integration::Login;

/// A version that no identity has: a hub begins with others.
const ETAG: &str = "AAAAAAAAAAE=";

/// The three permissions, by the names of shared access policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permission {
    RegistryRead,
    RegistryWrite,
    ServiceConnect,
}

impl Permission {
    fn name(self) -> &'static str {
        match self {
            Self::RegistryRead => "Registry Read",
            Self::RegistryWrite => "Registry Write",
            Self::ServiceConnect => "Service Connect",
        }
    }
}

/// Tries all three permissions; the error names those that are missing and what to do.
pub(crate) async fn check(hub: &Hub, login: &Login) -> anyhow::Result<()> {
    let id: DeviceId = format!("mender-iothub-test-{}", Uuid::new_v4()).parse()?;
    let identity = json!({
        "deviceId": id.as_str(),
        "etag": ETAG,
        // Without keys there are none to lose.
        "authentication": {"type": "certificateAuthority"},
    });
    let identity = Identity::from_json(identity.to_string().as_bytes())?;
    let tried = [
        (Permission::RegistryRead, hub.device(&id).await.err()),
        (
            Permission::RegistryWrite,
            hub.update_device(&identity).await.err(),
        ),
        // With Entra ID deleting is a permission of its own, and so is each side of a twin.
        (
            Permission::RegistryWrite,
            hub.delete_device(&id, ETAG).await.err(),
        ),
        (Permission::ServiceConnect, hub.twin(&id).await.err()),
        (
            Permission::ServiceConnect,
            hub.patch_twin(&id, &json!({"tags": {}}), Some(ETAG))
                .await
                .err(),
        ),
    ];
    let mut missing = Vec::new();
    let mut refusal = None;
    let all = tried.len();
    let mut refused = 0;
    for (permission, error) in tried {
        match error {
            Some(error) if error.kind() == Kind::Unauthorized => {
                refused += 1;
                if !missing.contains(&permission) {
                    missing.push(permission);
                }
                refusal.get_or_insert(error);
            }
            Some(error) if !granted(&error) => bail!(
                "the hub could not be tested for {}: {error}",
                permission.name()
            ),
            _ => {}
        }
    }
    match refusal {
        None => Ok(()),
        Some(error) if refused == all => bail!("{}", refused_all(login, &error)),
        Some(error) => bail!("{}", lacking(login, &missing, &error)),
    }
}

fn granted(error: &Error) -> bool {
    matches!(error.kind(), Kind::NotFound | Kind::PreconditionFailed)
}

/// The credential opens nothing: it is wrong, or nobody gave it anything.
fn refused_all(login: &Login, error: &Error) -> String {
    let advice = match login.assignee() {
        None => format!(
            "the key is wrong or was replaced, the hub takes no shared access, or {login} has none \
             of Registry Read, Registry Write and Service Connect"
        ),
        Some(assignee) => format!(
            "if Microsoft Entra ID refused it, secret, certificate, tenant or client id are wrong; \
             if the hub did, {login} has no role there: az role assignment create --assignee {assignee} \
             --role \"IoT Hub Data Contributor\" --scope RESOURCE-ID-OF-THE-HUB; it takes effect \
             within minutes"
        ),
    };
    format!("the hub refuses the credential: {error}; {advice}")
}

/// The credential is good, but not for everything.
fn lacking(login: &Login, missing: &[Permission], error: &Error) -> String {
    let names: Vec<_> = missing.iter().map(|it| it.name()).collect();
    let names = names.join(" and ");
    let advice = match login.assignee() {
        None => format!(
            "add it to {login} under \"Shared access policies\" in the portal, or make another \
             policy: az iot hub policy create --hub-name HUB --name mender-iothub --permissions \
             RegistryRead RegistryWrite ServiceConnect"
        ),
        Some(assignee) => format!(
            "give it role \"{}\": az role assignment create --assignee {assignee} --role \"{0}\" \
             --scope RESOURCE-ID-OF-THE-HUB; it takes effect within minutes",
            role(missing)
        ),
    };
    format!("the hub refuses the credential for {names}: {login} lacks that ({error}); {advice}")
}

/// The smallest built-in role that brings what is missing.
fn role(missing: &[Permission]) -> &'static str {
    let twins = missing.contains(&Permission::ServiceConnect);
    match (missing.len(), twins) {
        (1, true) => "IoT Hub Twin Contributor",
        (_, false) => "IoT Hub Registry Contributor",
        _ => "IoT Hub Data Contributor",
    }
}

#[cfg(test)]
mod tests {
    use super::Permission::{RegistryRead, RegistryWrite, ServiceConnect};
    use super::*;

    #[test]
    fn the_role_is_no_larger_than_needed() {
        for (missing, expected) in [
            (&[RegistryWrite][..], "IoT Hub Registry Contributor"),
            (
                &[RegistryRead, RegistryWrite],
                "IoT Hub Registry Contributor",
            ),
            (&[ServiceConnect], "IoT Hub Twin Contributor"),
            (&[RegistryWrite, ServiceConnect], "IoT Hub Data Contributor"),
        ] {
            assert_eq!(role(missing), expected);
        }
    }
}
