//! Arguments of `integration` and `secrets`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use lifecycle::TenantId;

use super::OfTenant;
use crate::integration::Tier;

#[derive(Debug, Subcommand)]
pub(crate) enum Integration {
    /// Sets a tenant's hub, after testing the credential against it.
    ///
    /// A secret (connection string, client secret, certificate with its key) is read from standard
    /// input, from a file, or from an environment variable; never from the command line, where other
    /// users of the machine could read it.
    ///
    /// With a shared access policy: its connection string, and permissions Registry Read, Registry
    /// Write and Service Connect. With Microsoft Entra ID: --auth, --hub, and role "IoT Hub Data
    /// Contributor" on the hub.
    Set(IntegrationSet),
    /// Shows integrations, without secrets.
    Show {
        /// Only this tenant's.
        #[arg(long)]
        tenant: Option<TenantId>,
    },
    /// Tries the stored credential against the hub.
    Test(OfTenant),
    /// Forgets a tenant's hub. Nothing in the hub is changed.
    ///
    /// Refused while identities that the worker made are left in the hub: decommission the
    /// devices in Mender first, or say --force to leave the identities behind as they are.
    Remove {
        #[command(flatten)]
        of: OfTenant,
        /// Remove it although identities are left behind.
        #[arg(long)]
        force: bool,
    },
}

/// The ways to log in to a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Auth {
    /// The connection string of a shared access policy.
    SharedAccess,
    /// Entra ID: an application with a client secret.
    ClientSecret,
    /// Entra ID: an application with a certificate and its RSA key, both in PEM.
    ClientCertificate,
    /// Entra ID: an application that trusts the worker's own token (Kubernetes). No secret.
    WorkloadIdentity,
    /// Entra ID: the machine the worker runs on, or an identity assigned to it. No secret.
    ManagedIdentity,
}

/// The ways that have an application in Entra ID.
const WITH_APPLICATION: [(&str, &str); 3] = [
    ("auth", "client-secret"),
    ("auth", "client-certificate"),
    ("auth", "workload-identity"),
];
/// All ways of Entra ID.
const WITH_ENTRA_ID: [(&str, &str); 4] = [
    WITH_APPLICATION[0],
    WITH_APPLICATION[1],
    WITH_APPLICATION[2],
    ("auth", "managed-identity"),
];

impl Auth {
    /// What is asked for at a terminal.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::SharedAccess => "connection string",
            Self::ClientCertificate => "certificate and key in PEM",
            _ => "client secret",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct IntegrationSet {
    #[command(flatten)]
    pub(crate) of: OfTenant,
    /// How the worker logs in to the hub.
    #[arg(long, value_enum, default_value_t = Auth::SharedAccess, value_name = "WAY")]
    pub(crate) auth: Auth,
    /// Entra ID: the host of the hub, for example myhub.azure-devices.net.
    #[arg(long, value_name = "HOST", required_if_eq_any(WITH_ENTRA_ID))]
    pub(crate) hub: Option<String>,
    /// Entra ID: directory (tenant) id or domain of the application.
    #[arg(long, value_name = "ID", required_if_eq_any(WITH_APPLICATION))]
    pub(crate) entra_tenant: Option<String>,
    /// Entra ID: client id of the application; of a managed identity only if it is not the machine's
    /// own.
    #[arg(long, value_name = "ID", required_if_eq_any(WITH_APPLICATION))]
    pub(crate) client_id: Option<String>,
    /// Read the secret from this file instead of standard input.
    #[arg(
        long,
        alias = "connection-string-file",
        value_name = "FILE",
        conflicts_with = "credential_env"
    )]
    pub(crate) credential_file: Option<PathBuf>,
    /// Read the secret from this environment variable.
    #[arg(long, alias = "connection-string-env", value_name = "NAME")]
    pub(crate) credential_env: Option<String>,
    /// Pricing tier of the hub: decides how many requests a minute it takes.
    #[arg(long, value_enum, default_value_t = Tier::S1)]
    pub(crate) tier: Tier,
    /// Units of the hub.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) units: u32,
    /// Store it even if the hub cannot be reached or refuses the credential now.
    #[arg(long)]
    pub(crate) no_test: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Seals every stored credential with the first of the keys that `secrets` names.
    ///
    /// Put a new key in front of the old one, in the same file or output; workers read it by
    /// themselves. Then run this, and remove the old key once it exits with 0. It may be interrupted
    /// and repeated, and workers may run meanwhile. Exit code 1 says that a credential is left that
    /// is not sealed with the first key.
    Rotate {
        /// Only count.
        #[arg(long)]
        dry_run: bool,
    },
}
