//! The applications and managed identities the issuer knows.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::roles;

/// An application, as it is written down on the control port.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct App {
    #[serde(skip)]
    pub(super) client_id: String,
    /// The only tenant that knows it; any, if there is none.
    #[serde(default)]
    pub(super) tenant: Option<String>,
    #[serde(default)]
    pub(super) secrets: Vec<String>,
    /// Certificates in PEM whose keys may sign assertions.
    #[serde(default)]
    pub(super) certificates: Vec<String>,
    #[serde(default)]
    pub(super) federated: Vec<Federated>,
    /// Whether the machine has it as an identity of its own.
    #[serde(default)]
    pub(super) managed: Option<Managed>,
    /// Names of built-in roles, or data actions.
    #[serde(default)]
    pub(super) roles: Vec<String>,
}

/// Tokens of another issuer that stand for an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Federated {
    pub(super) issuer: String,
    pub(super) subject: String,
    #[serde(default = "usual_audience")]
    pub(super) audience: String,
}

fn usual_audience() -> String {
    "api://AzureADTokenExchange".to_owned()
}

/// How a managed identity is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Managed {
    /// By asking for none in particular.
    System,
    /// By its client id or object id, or by this resource id.
    User(String),
}

impl App {
    /// The id of the principal, always the same for the same application.
    pub(super) fn object_id(&self) -> String {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, self.client_id.as_bytes()).to_string()
    }

    /// Whether a tenant knows it.
    pub(super) fn is_in(&self, tenant: &str) -> bool {
        self.tenant
            .as_deref()
            .is_none_or(|it| it.eq_ignore_ascii_case(tenant))
    }

    fn check(&self) -> Result<(), String> {
        if let Some(role) = self.roles.iter().find(|it| !roles::is_known(it)) {
            return Err(format!(
                "{role:?} is neither a built-in role nor a data action"
            ));
        }
        let bad = |pem: &String| CertificateDer::from_pem_slice(pem.as_bytes()).is_err();
        if self.certificates.iter().any(bad) {
            return Err("a certificate is not PEM".to_owned());
        }
        Ok(())
    }
}

/// Secrets are left out.
impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// What may be shown of an application.
#[derive(Serialize)]
struct Shown<'a> {
    client_id: &'a str,
    object_id: String,
    tenant: Option<&'a str>,
    secrets: usize,
    certificates: usize,
    federated: &'a [Federated],
    managed: Option<&'a Managed>,
    roles: &'a [String],
}

/// All of them, by client id.
#[derive(Debug, Default)]
pub(crate) struct Apps {
    by_id: BTreeMap<String, App>,
}

impl Apps {
    /// One application; ids have any case.
    pub(super) fn get(&self, client_id: &str) -> Option<&App> {
        self.by_id.get(&client_id.to_ascii_lowercase())
    }

    /// The managed identity that is meant; with no wish at all, the machine's own.
    pub(super) fn managed(&self, wished: Option<&str>) -> Option<&App> {
        self.by_id
            .values()
            .find(|app| match (&app.managed, wished) {
                (Some(Managed::System), None) => true,
                (Some(managed), Some(wished)) => {
                    let named = *managed == Managed::User(wished.to_owned());
                    named || app.client_id.eq_ignore_ascii_case(wished) || app.object_id() == wished
                }
                _ => false,
            })
    }

    /// Reads an application and adds it, or replaces the one of that id.
    pub(crate) fn put(&mut self, client_id: &str, body: &[u8]) -> Result<(), String> {
        let mut app: App = serde_json::from_slice(body).map_err(|error| {
            // The parser's own words could quote a secret.
            format!(
                "not an application (line {} column {})",
                error.line(),
                error.column()
            )
        })?;
        client_id.clone_into(&mut app.client_id);
        app.check()?;
        self.add(app);
        Ok(())
    }

    /// Adds an application or replaces the one of that id.
    pub(crate) fn add(&mut self, app: App) {
        self.by_id.insert(app.client_id.to_ascii_lowercase(), app);
    }

    /// Forgets an application; says whether there was one.
    pub(crate) fn remove(&mut self, client_id: &str) -> bool {
        self.by_id.remove(&client_id.to_ascii_lowercase()).is_some()
    }

    /// All of them without their secrets, as JSON.
    pub(crate) fn shown(&self) -> serde_json::Value {
        let show = |app: &App| {
            let shown = Shown {
                client_id: &app.client_id,
                object_id: app.object_id(),
                tenant: app.tenant.as_deref(),
                secrets: app.secrets.len(),
                certificates: app.certificates.len(),
                federated: &app.federated,
                managed: app.managed.as_ref(),
                roles: &app.roles,
            };
            serde_json::to_value(shown).unwrap_or_default()
        };
        self.by_id.values().map(show).collect()
    }
}

/// An application on the command line: `CLIENT_ID=SECRET:ROLE,ROLE`.
impl FromStr for App {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || "an application is written CLIENT_ID=SECRET:ROLE,ROLE".to_owned();
        let (client_id, rest) = text.split_once('=').ok_or_else(shape)?;
        let (secret, roles) = rest.rsplit_once(':').ok_or_else(shape)?;
        if client_id.is_empty() || secret.is_empty() {
            return Err(shape());
        }
        let app = Self {
            client_id: client_id.to_owned(),
            tenant: None,
            secrets: vec![secret.to_owned()],
            certificates: vec![],
            federated: vec![],
            managed: None,
            roles: roles.split(',').map(|it| it.trim().to_owned()).collect(),
        };
        app.check().map(|()| app)
    }
}
