//! The issuer's HTTP face: which request asks it for what.
//!
//! These paths are served beside those of the hub (over TLS) and on the control port (without, as
//! managed identity needs it), and like those they stand in the journal and can go wrong on order.

use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Entra;
use super::managed::Kind;
use crate::operation::Operation;
use crate::service::Answer;

/// The operation at one of the issuer's paths.
pub(crate) fn find(method: &str, names: &[&str]) -> Option<Operation> {
    match (method, names) {
        ("POST", [_, "oauth2", "v2.0", "token"]) => Some(Operation::Token),
        ("GET", ["metadata", "identity", "oauth2", "token"] | ["msi", "token"]) => {
            Some(Operation::ManagedToken)
        }
        (
            "GET",
            [_, "v2.0", ".well-known", "openid-configuration"] | [_, "discovery", "v2.0", "keys"],
        ) => Some(Operation::Discovery),
        _ => None,
    }
}

impl Entra {
    /// Answers a request at one of these paths. `base` is where the client reached us.
    pub(crate) fn answer(
        &self,
        head: &Parts,
        names: &[String],
        body: &[u8],
        base: &str,
        now: u64,
    ) -> Answer {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let query = head.uri.query().unwrap_or_default();
        let header = |name| text(&head.headers, name);
        let (status, answer) = match names.as_slice() {
            [tenant, "oauth2", ..] => self.grant(tenant, &String::from_utf8_lossy(body), now),
            ["msi", _] => self.managed(Kind::AppService, query, header("x-identity-header"), now),
            ["metadata", ..] => self.managed(Kind::VirtualMachine, query, header("metadata"), now),
            [_, "discovery", ..] => (200, self.keys()),
            [tenant, ..] => (200, configuration(base, tenant)),
            [] => (404, json!({})),
        };
        Answer {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            ..Answer::ok(answer.to_string())
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What token libraries read before they ask for a token.
fn configuration(base: &str, tenant: &str) -> Value {
    json!({
        "issuer": format!("{base}/{tenant}/v2.0"),
        "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
        "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
        "response_types_supported": ["token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
    })
}
