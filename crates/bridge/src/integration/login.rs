//! How a hub is logged in to, as far as everybody may know.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The way to log in, and whose the sealed secret is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "auth", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Login {
    /// With the key of a shared access policy.
    SharedAccess { policy: String },
    /// With a secret of an application in Microsoft Entra ID.
    ClientSecret {
        entra_tenant: String,
        client_id: String,
    },
    /// With a certificate of one; the secret is the certificate and its key in PEM.
    ClientCertificate {
        entra_tenant: String,
        client_id: String,
    },
    /// With a token that another issuer gives the worker; there is no secret.
    WorkloadIdentity {
        entra_tenant: String,
        client_id: String,
    },
    /// As the machine the worker runs on, or as an identity assigned to it; there is no secret.
    ManagedIdentity { client_id: Option<String> },
}

impl Login {
    /// Whether a secret belongs to it.
    pub(crate) fn has_secret(&self) -> bool {
        !matches!(
            self,
            Self::WorkloadIdentity { .. } | Self::ManagedIdentity { .. }
        )
    }

    /// The application or identity that needs a role, for those who assign it.
    pub(crate) fn assignee(&self) -> Option<&str> {
        match self {
            Self::SharedAccess { .. } => None,
            Self::ClientSecret { client_id, .. }
            | Self::ClientCertificate { client_id, .. }
            | Self::WorkloadIdentity { client_id, .. } => Some(client_id),
            Self::ManagedIdentity { client_id } => Some(client_id.as_deref().unwrap_or("IDENTITY")),
        }
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SharedAccess { policy } => write!(f, "policy {policy}"),
            Self::ClientSecret { client_id, .. } => write!(f, "application {client_id}"),
            Self::ClientCertificate { client_id, .. } => {
                write!(f, "application {client_id} (certificate)")
            }
            Self::WorkloadIdentity { client_id, .. } => {
                write!(f, "application {client_id} (workload identity)")
            }
            Self::ManagedIdentity { client_id: None } => f.write_str("the machine's identity"),
            Self::ManagedIdentity {
                client_id: Some(id),
            } => write!(f, "managed identity {id}"),
        }
    }
}
