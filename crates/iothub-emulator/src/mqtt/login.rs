//! CONNECT: who says to be whom, and whether to believe it.
//!
//! A device says its id as client id and again in the user name, and proves it by a token in the
//! password. Everything that concerns the proof is refused with the same code, whether the device
//! is unknown, disabled, or has another key.

use mqtt_proto::Protocol;
use mqtt_proto::v3::{Connect, ConnectReturnCode};
use tracing::debug;

use crate::auth::{self, Audience};
use crate::identity::check_id;
use crate::registry::{LineId, Registry, Target};

/// What a CONNECT says.
pub(super) struct Claim {
    pub(super) who: Target,
    token: String,
}

/// What a login leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admitted {
    /// Whether an earlier session goes on.
    pub(super) session_present: bool,
    /// When the token ends for good, in seconds since 1970.
    pub(super) expiry: u64,
}

impl Claim {
    /// Reads a CONNECT. The error is what to answer.
    pub(super) fn read(connect: &Connect, audience: &Audience) -> Result<Self, ConnectReturnCode> {
        if connect.protocol != Protocol::V311 {
            return Err(ConnectReturnCode::UnacceptableProtocolVersion);
        }
        let who = target(&connect.client_id).ok_or(ConnectReturnCode::IdentifierRejected)?;
        let name = connect.username.as_deref().unwrap_or_default();
        let password = connect.password.as_deref().unwrap_or_default();
        let token = str::from_utf8(password).unwrap_or_default();
        if !fits(name, &connect.client_id, audience) || token.is_empty() {
            return Err(ConnectReturnCode::BadUserNameOrPassword);
        }
        let token = token.to_owned();
        Ok(Self { who, token })
    }

    /// Checks the proof, and connects.
    pub(super) fn enter(
        &self,
        registry: &mut Registry,
        audience: &Audience,
        line: LineId,
        clean: bool,
        (skew, unix_seconds): (u64, u64),
    ) -> Result<Admitted, ConnectReturnCode> {
        let refused = ConnectReturnCode::NotAuthorized;
        let credentials = registry.credentials(&self.who).ok_or_else(|| {
            debug!(who = ?self.who, "it does not exist or is disabled");
            refused
        })?;
        let path = path(&self.who);
        let (keys, times) = (credentials.keys(), (skew, unix_seconds));
        let admission = auth::device::check(&self.token, audience, &path, keys, times);
        let admission = admission.map_err(|refusal| {
            debug!(?refusal, who = ?self.who, "token refused");
            refused
        })?;
        let key = credentials.keys().nth(admission.key).map(str::to_owned);
        let session_present = registry
            .attach(&self.who, line, &key.ok_or(refused)?, clean)
            .map_err(|_| refused)?;
        Ok(Admitted {
            session_present,
            expiry: admission.expiry,
        })
    }
}

/// The device or module of a client id.
pub(super) fn target(client_id: &str) -> Option<Target> {
    let (device, module) = match client_id.split_once('/') {
        None => (client_id, None),
        Some((device, module)) => (device, Some(module)),
    };
    let sound = check_id(device).is_ok() && module.is_none_or(|it| check_id(it).is_ok());
    sound.then(|| Target {
        device: device.to_owned(),
        module: module.map(str::to_owned),
    })
}

/// Whether a user name is `{host}/{client id}`, perhaps with `/?api-version=…` behind it.
fn fits(name: &str, client_id: &str, audience: &Audience) -> bool {
    let Some((host, rest)) = name.split_once('/') else {
        return false;
    };
    let rest = rest.strip_prefix(client_id);
    audience.has(host) && rest.is_some_and(|it| matches!(it, "" | "/") || it.starts_with("/?"))
}

/// The path that a token must be for.
fn path(who: &Target) -> Vec<String> {
    let mut path = vec!["devices".to_owned(), who.device.clone()];
    if let Some(module) = &who.module {
        path.extend(["modules".to_owned(), module.clone()]);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn code(client_id: &str, name: Option<&str>, password: Option<&str>) -> Option<u8> {
        let mut connect = Connect::new(client_id.into(), 60);
        connect.username = name.map(Into::into);
        connect.password = password.map(|it| Bytes::copy_from_slice(it.as_bytes()));
        let claim = Claim::read(&connect, &Audience::of("localhost"));
        claim.err().map(|code| code as u8)
    }

    #[test]
    fn user_names_hold_host_and_client_id_again() {
        for name in [
            "localhost/d?1",
            "localhost/d?1/",
            "LocalHost:8443/d?1/?api-version=2021-04-12&DeviceClientType=x%2Fy",
            "127.0.0.1/d?1/?",
        ] {
            assert_eq!(code("d?1", Some(name), Some("t")), None, "{name}");
        }
        assert_eq!(
            code("d1/m1", Some("localhost/d1/m1/?api-version=x"), Some("t")),
            None
        );
        for name in [
            "",
            "localhost",
            "localhost/",
            "localhost/d1x",
            "localhost/d2/?api-version=x",
            "elsewhere/d1/?api-version=x",
            "localhost/d1/m1/?api-version=x",
        ] {
            assert_eq!(code("d1", Some(name), Some("t")), Some(4), "{name}");
        }
    }

    #[test]
    fn what_is_missing_or_odd_has_a_code_of_its_own() {
        let name = Some("localhost/d1");
        assert_eq!(code("d1", None, Some("t")), Some(4));
        assert_eq!(code("d1", name, None), Some(4));
        assert_eq!(code("d1", name, Some("")), Some(4));
        for id in ["", "d 1", "/", "d1/", "/m1", "a/b/c", "..", "ä"] {
            assert_eq!(code(id, name, Some("t")), Some(2), "{id}");
        }
    }

    #[test]
    fn only_version_3_1_1_is_spoken() {
        let mut connect = Connect::new("d1".into(), 60);
        connect.protocol = Protocol::V310;
        let claim = Claim::read(&connect, &Audience::of("localhost"));
        assert_eq!(
            claim.err(),
            Some(ConnectReturnCode::UnacceptableProtocolVersion)
        );
    }
}
