//! What the roles in a token allow, on which device.
//!
//! A decision is made by one role alone, for the device that is asked about. Roles are never put
//! together first: somebody who reads the devices of one list and administers those of another
//! must not administer the first (CVE-2026-33552 was such a union).

use std::collections::BTreeSet;

use messages::DeviceId;
use serde_json::{Map, Value};

use crate::Verb;
use crate::token::Claims;

/// What a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// To see a twin.
    Read,
    /// To change it, to call a method, to give or cancel a job.
    Admin,
}

impl Permission {
    /// What a verb needs.
    #[must_use]
    pub const fn for_verb(verb: Verb) -> Self {
        if verb.edits() {
            Self::Admin
        } else {
            Self::Read
        }
    }
}

/// Where roles come from.
#[derive(Debug, Clone)]
pub enum Roles {
    /// There are none, as in open-source Mender: each user of the tenant may do everything.
    Everything,
    /// A claim holds them.
    Claim(RoleClaim),
}

/// A claim with roles. It holds one role, or a list of them, each either
///
/// - a name: it counts for all devices of the tenant, or
/// - `{"role": "NAME", "devices": ["ID", …]}`: it counts for these devices alone.
///
/// Anything else in it, and a name that is not in these sets, allows nothing.
#[derive(Debug, Clone)]
pub struct RoleClaim {
    /// JSON pointer to the claim: `/mender.roles`.
    pub pointer: String,
    /// Roles that may read.
    pub read: BTreeSet<String>,
    /// Roles that may read and edit.
    pub admin: BTreeSet<String>,
}

impl Roles {
    /// Whether the roles allow `verb` on `device`; without one, on all devices of the tenant.
    #[must_use]
    pub fn allow(&self, claims: &Claims, verb: Verb, device: Option<&DeviceId>) -> bool {
        let Self::Claim(claim) = self else {
            return true;
        };
        let need = Permission::for_verb(verb);
        match claims.at(&claim.pointer) {
            Some(Value::Array(roles)) => roles.iter().any(|role| claim.grants(role, need, device)),
            Some(role) => claim.grants(role, need, device),
            None => false,
        }
    }
}

impl RoleClaim {
    /// Whether this one role is enough.
    fn grants(&self, role: &Value, need: Permission, device: Option<&DeviceId>) -> bool {
        let name = match role {
            Value::String(name) => name,
            Value::Object(scoped) => match name_if_covered(scoped, device) {
                Some(name) => name,
                None => return false,
            },
            _ => return false,
        };
        self.admin.contains(name) || (need == Permission::Read && self.read.contains(name))
    }
}

/// The role's name, if it counts for the device. One with a member that is not known may be
/// limited in a way that is not understood, so it counts for none.
fn name_if_covered<'a>(role: &'a Map<String, Value>, device: Option<&DeviceId>) -> Option<&'a str> {
    let devices = role.get("devices")?.as_array()?;
    let known = role.len() == 2;
    let covered = devices
        .iter()
        .any(|id| id.as_str() == device.map(DeviceId::as_str));
    let name = role.get("role")?.as_str()?;
    (known && device.is_some() && covered).then_some(name)
}
