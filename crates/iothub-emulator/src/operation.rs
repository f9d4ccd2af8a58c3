//! The operations of the service API by the names that journal and fault rules use.

use serde::{Deserialize, Serialize};

use crate::auth::Permission;
use crate::throttle::Meter;

/// What a request is about, as far as method, path and `If-Match` tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// PUT of an identity without a precondition.
    Create,
    /// PUT of an identity with one.
    Update,
    /// DELETE of an identity.
    Delete,
    /// GET of one identity.
    Read,
    /// GET of all identities.
    List,
    /// GET of a twin.
    TwinRead,
    /// PATCH of a twin.
    TwinPatch,
    /// PUT of a twin.
    TwinReplace,
    /// An edit on the control port; only ever seen in the journal.
    HandEdit,
    /// Anything else.
    Other,
}

impl Operation {
    /// The permission a policy needs for it; `None` if any valid token will do.
    pub(crate) const fn permission(self) -> Option<Permission> {
        match self {
            Self::Read | Self::List => Some(Permission::RegistryRead),
            Self::Create | Self::Update | Self::Delete => Some(Permission::RegistryWrite),
            Self::TwinRead | Self::TwinPatch | Self::TwinReplace => {
                Some(Permission::ServiceConnect)
            }
            Self::HandEdit | Self::Other => None,
        }
    }

    /// The limit it counts against.
    pub(crate) const fn meter(self) -> Option<Meter> {
        match self {
            Self::Read | Self::List | Self::Create | Self::Update | Self::Delete => {
                Some(Meter::Registry)
            }
            Self::TwinRead => Some(Meter::TwinReads),
            Self::TwinPatch | Self::TwinReplace => Some(Meter::TwinWrites),
            Self::HandEdit | Self::Other => None,
        }
    }
}
