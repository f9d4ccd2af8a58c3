//! The token endpoint: `POST /{tenant}/oauth2/v2.0/token` with the client credentials grant.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::apps::App;
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
        let form = Form::parse(body);
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

    fn granted(&self, tenant: &str, form: &Form, now: u64) -> Result<String, Refusal> {
        if form.field("grant_type") != Some("client_credentials") {
            return Err(Refusal(
                400,
                "unsupported_grant_type",
                70_003,
                "The app requested an unsupported grant type.",
            ));
        }
        let apps = self.apps();
        let app = form.field("client_id").and_then(|id| apps.get(id));
        let app = app.filter(|it| it.is_in(tenant)).ok_or(Refusal(
            400,
            "unauthorized_client",
            700_016,
            "The application was not found in the directory.",
        ))?;
        let scope = form
            .field("scope")
            .and_then(|it| it.strip_suffix("/.default"));
        if scope.map(|it| it.trim_end_matches('/')) != Some(RESOURCE) {
            return Err(Refusal(
                400,
                "invalid_scope",
                70_011,
                "The provided value for the input parameter 'scope' is not valid.",
            ));
        }
        self.prove(app, tenant, form, now)?;
        Ok(self.access_token(app, tenant, now))
    }

    /// Checks the secret or the assertion of a request.
    fn prove(&self, app: &App, tenant: &str, form: &Form, now: u64) -> Result<(), Refusal> {
        let refusal = |number, text| Refusal(401, "invalid_client", number, text);
        match (form.field("client_secret"), form.field("client_assertion")) {
            (Some(secret), None) if app.secrets.iter().any(|it| it == secret) => Ok(()),
            (Some(_), None) => Err(refusal(7_000_215, "Invalid client secret provided.")),
            (None, Some(token)) if form.field("client_assertion_type") == Some(ASSERTION_TYPE) => {
                let wanted = Wanted {
                    app,
                    endpoint: &format!("/{tenant}/oauth2/v2.0/token"),
                    now,
                    skew: SKEW,
                };
                let text = "The client assertion failed signature validation.";
                let proved = proves(token, &self.signer, &wanted);
                proved.then_some(()).ok_or(refusal(700_027, text))
            }
            _ => Err(refusal(
                7_000_218,
                "The request body must contain 'client_assertion' or 'client_secret'.",
            )),
        }
    }
}

/// The fields of a form.
struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads a form. Unlike in a path, `+` is a blank here.
    fn parse(body: &str) -> Self {
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        Self(
            pairs
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    /// A field, unless it is missing or empty.
    fn field(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|it| !it.is_empty())
    }
}
