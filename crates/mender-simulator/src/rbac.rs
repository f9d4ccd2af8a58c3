//! Users, roles and groups of devices: what useradm of Mender Enterprise decides by.
//!
//! Each role is looked at by itself, for the one request. A role may be limited to groups; then it
//! allows what is about a device of one of them, and a search within them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

const API: &str = "/api/management/v1/iot-manager";
const SEARCH: &str = "/api/management/v2/inventory/filters/search";

/// `PUT /simulator/rbac`: everything at once.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rbac {
    users: Vec<User>,
    /// The group of each device, by its id.
    groups: BTreeMap<String, String>,
    /// Whether groups are told in a header, for the asker to look into, also where useradm could
    /// decide about the one device itself.
    tell_groups: bool,
}

/// A user; its tokens are those whose `sub` is its id.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    id: String,
    #[serde(default)]
    tenant: String,
    #[serde(default)]
    roles: Vec<Role>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    may: May,
    /// Nothing: everywhere.
    groups: Option<BTreeSet<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum May {
    Read,
    Admin,
}

/// What useradm says about a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// With devices of these groups.
    Within(BTreeSet<String>),
    NoSuchUser,
    Forbidden,
}

impl Rbac {
    /// Whether a user may send `method` to `uri`.
    pub(crate) fn judge(&self, tenant: &str, user: &str, method: &str, uri: &str) -> Verdict {
        let found = self
            .users
            .iter()
            .find(|other| other.id == user && other.tenant == tenant);
        let Some(user) = found else {
            return Verdict::NoSuchUser;
        };
        let (need, device) = needed(method, uri);
        let enough = user.roles.iter().filter(|role| role.may >= need);
        let mut groups = BTreeSet::new();
        for role in enough {
            match &role.groups {
                None => return Verdict::Allowed,
                Some(some) => groups.extend(some.iter().cloned()),
            }
        }
        match device {
            _ if groups.is_empty() => Verdict::Forbidden,
            Some(device) if !self.tell_groups => {
                if self
                    .group_of(&device)
                    .is_some_and(|group| groups.contains(group))
                {
                    Verdict::Allowed
                } else {
                    Verdict::Forbidden
                }
            }
            None if uri != SEARCH => Verdict::Forbidden,
            _ => Verdict::Within(groups),
        }
    }

    /// The group that a device is in.
    pub(crate) fn group_of(&self, device: &str) -> Option<&str> {
        self.groups.get(device).map(String::as_str)
    }
}

/// What a request needs, and of which device.
fn needed(method: &str, uri: &str) -> (May, Option<String>) {
    let state = uri
        .strip_prefix(&format!("{API}/devices/"))
        .and_then(|rest| rest.split_once("/state"));
    let device = state.and_then(|(device, _)| {
        let decoded = percent_encoding::percent_decode_str(device).decode_utf8();
        decoded.ok().map(String::from)
    });
    match (method, state) {
        ("GET", Some((_, ""))) => (May::Read, device),
        ("PUT", Some(_)) => (May::Admin, device),
        ("POST", None) if uri == SEARCH => (May::Read, None),
        _ => (May::Admin, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rbac() -> Rbac {
        serde_json::from_str(
            r#"{"users":[
                {"id":"admin","roles":[{"may":"admin"}]},
                {"id":"mixed","roles":[{"may":"read","groups":["a"]},{"may":"admin","groups":["b"]}]}],
            "groups":{"d1":"a","d2":"b"}}"#,
        )
        .expect("users and groups")
    }

    #[test]
    fn a_role_counts_for_its_own_groups() {
        let judge = |user, method, device| {
            let tail = if method == "PUT" { "/i" } else { "" };
            let uri = format!("{API}/devices/{device}/state{tail}");
            rbac().judge("", user, method, &uri)
        };
        assert_eq!(judge("admin", "PUT", "d3"), Verdict::Allowed);
        assert_eq!(judge("mixed", "GET", "d1"), Verdict::Allowed);
        assert_eq!(judge("mixed", "PUT", "d1"), Verdict::Forbidden);
        assert_eq!(judge("mixed", "PUT", "d2"), Verdict::Allowed);
        assert_eq!(judge("mixed", "GET", "d3"), Verdict::Forbidden);
        assert_eq!(judge("nobody", "GET", "d1"), Verdict::NoSuchUser);
    }

    #[test]
    fn what_is_about_everything_is_for_those_without_limits() {
        let integrations = format!("{API}/integrations");
        let judge = |user, uri| rbac().judge("", user, "POST", uri);
        assert_eq!(judge("admin", &integrations), Verdict::Allowed);
        assert_eq!(judge("mixed", &integrations), Verdict::Forbidden);
        let both = ["a", "b"].map(str::to_owned).into();
        assert_eq!(judge("mixed", SEARCH), Verdict::Within(both));
        assert_eq!(
            rbac().judge("t", "admin", "POST", SEARCH),
            Verdict::NoSuchUser
        );
    }
}
