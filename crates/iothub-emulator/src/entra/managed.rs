//! Managed identity: the metadata service of a virtual machine, and that of App Service.

use serde_json::{Value, json};

use super::{Entra, RESOURCE};
use crate::router::parameter;

/// Which of the two services is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `GET /metadata/identity/oauth2/token` with `Metadata: true`.
    VirtualMachine,
    /// `GET /msi/token` with `X-IDENTITY-HEADER`.
    AppService,
}

impl Kind {
    const fn version(self) -> &'static str {
        match self {
            Self::VirtualMachine => "2018-02-01",
            Self::AppService => "2019-08-01",
        }
    }

    /// The parameters that name an identity of the user's making.
    const fn wishes(self) -> [&'static str; 3] {
        match self {
            Self::VirtualMachine => ["client_id", "object_id", "msi_res_id"],
            Self::AppService => ["client_id", "principal_id", "mi_res_id"],
        }
    }
}

impl Entra {
    /// Answers a request for the token of a managed identity. `header` is that of the service.
    pub(super) fn managed(
        &self,
        kind: Kind,
        query: &str,
        header: Option<&str>,
        now: u64,
    ) -> (u16, Value) {
        if let Err(refused) = self.check_header(kind, header) {
            return refused;
        }
        if parameter(query, "api-version").as_deref() != Some(kind.version()) {
            return refusal(400, "invalid_request", "Identity not found: api-version");
        }
        let resource = parameter(query, "resource").unwrap_or_default();
        if resource.trim_end_matches('/') != RESOURCE {
            return refusal(
                400,
                "invalid_resource",
                "AADSTS500011: The resource was not found",
            );
        }
        let wished = kind
            .wishes()
            .into_iter()
            .find_map(|name| parameter(query, name));
        let apps = self.apps();
        let Some(app) = apps.managed(wished.as_deref()) else {
            return refusal(400, "invalid_request", "Identity not found");
        };
        let tenant = app
            .tenant
            .as_deref()
            .unwrap_or("00000000-0000-0000-0000-000000000000");
        let mut answer = json!({
            "access_token": self.access_token(app, tenant, now),
            "client_id": app.client_id,
            "expires_on": (now + self.lifetime).to_string(),
            "resource": resource,
            "token_type": "Bearer",
        });
        if kind == Kind::VirtualMachine {
            answer["refresh_token"] = json!("");
            answer["expires_in"] = json!(self.lifetime.to_string());
            answer["not_before"] = json!(now.to_string());
        }
        (200, answer)
    }

    /// Whether the request carries what keeps strangers out.
    fn check_header(&self, kind: Kind, header: Option<&str>) -> Result<(), (u16, Value)> {
        match kind {
            Kind::VirtualMachine if header != Some("true") => {
                let text = "Required metadata header not specified";
                Err(refusal(400, "invalid_request", text))
            }
            Kind::AppService if header != Some(&self.identity_header) => {
                let text = "The identity header is wrong";
                Err(refusal(401, "unauthorized_client", text))
            }
            _ => Ok(()),
        }
    }
}

fn refusal(status: u16, error: &str, text: &str) -> (u16, Value) {
    let answer = json!({"error": error, "error_description": text});
    (status, answer)
}
