//! The token endpoint: `POST /{tenant}/oauth2/v2.0/token` with the client credentials grant.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::assertion::{Wanted, proves};
use super::{Entra, RESOURCE};

/// What an assertion calls itself.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Seconds that the clocks of issuer and client may differ.
const SKEW: u64 = 300;

/// An OAuth refusal: status, error, number of the description.
struct Refusal(u16, &'static str, u32, &'static str);

impl Entra {
    /// Answers a token request: a status and a JSON body.
    pub(super) fn grant(&self, tenant: &str, body: &str, now: u64) -> (u16, Value) {
        let form = form(body);
        match self.granted(tenant, &form, now) {
            Ok(token) => {
                let answer = json!({
                    "token_type": "Bearer",
                    "expires_in": self.lifetime,
                    "ext_expires_in": self.lifetime,
                    "access_token": token,
                });
                (200, answer)
            }
            Err(Refusal(status, error, number, text)) => {
                let description = format!("AADSTS{number}: {text}");
                let id = uuid::Uuid::new_v4().to_string();
                let answer = json!({
                    "error": error,
                    "error_description": description,
                    "error_codes": [number],
                    "timestamp": crate::dates::Ticks::from_unix_micros(now * 1_000_000),
                    "trace_id": id,
                    "correlation_id": id,
                });
                (status, answer)
            }
        }
    }

    fn granted(
        &self,
        tenant: &str,
        form: &BTreeMap<String, String>,
        now: u64,
    ) -> Result<String, Refusal> {
        let field = |name: &str| {
            form.get(name)
                .map(String::as_str)
                .filter(|it| !it.is_empty())
        };
        if field("grant_type") != Some("client_credentials") {
            return Err(Refusal(
                400,
                "unsupported_grant_type",
                70_003,
                "The app requested an unsupported grant type.",
            ));
        }
        let apps = self.apps();
        let app = field("client_id")
            .and_then(|id| apps.get(id))
            .filter(|it| it.is_in(tenant));
        let app = app.ok_or(Refusal(
            400,
            "unauthorized_client",
            700_016,
            "The application was not found in the directory.",
        ))?;
        let scope = field("scope").and_then(|it| it.strip_suffix("/.default"));
        if scope.map(|it| it.trim_end_matches('/')) != Some(RESOURCE) {
            return Err(Refusal(
                400,
                "invalid_scope",
                70_011,
                "The provided value for the input parameter 'scope' is not valid.",
            ));
        }
        let wanted = Wanted {
            app,
            endpoint: &format!("/{tenant}/oauth2/v2.0/token"),
            now,
            skew: SKEW,
        };
        let proved = match (field("client_secret"), field("client_assertion")) {
            (Some(secret), None) => app.secrets.iter().any(|it| it == secret),
            (None, Some(token)) if field("client_assertion_type") == Some(ASSERTION_TYPE) => {
                proves(token, &self.signer, &wanted)
            }
            _ => {
                return Err(Refusal(
                    401,
                    "invalid_client",
                    7_000_218,
                    "The request body must contain 'client_assertion' or 'client_secret'.",
                ));
            }
        };
        if proved {
            return Ok(self.access_token(app, tenant, now));
        }
        Err(if field("client_secret").is_some() {
            Refusal(
                401,
                "invalid_client",
                7_000_215,
                "Invalid client secret provided.",
            )
        } else {
            Refusal(
                401,
                "invalid_client",
                700_027,
                "The client assertion failed signature validation.",
            )
        })
    }
}

/// The fields of a form. Unlike in a path, `+` is a blank here.
fn form(body: &str) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
