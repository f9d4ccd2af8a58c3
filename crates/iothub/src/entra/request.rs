//! The requests for tokens, as plain values.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request};
use percent_encoding::utf8_percent_encode;
use zeroize::Zeroizing;

use super::EntraApp;
use crate::error::{Error, Result};
use crate::sas::ENCODED;
use crate::secret::Secret;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Asks with an application's secret.
pub(super) fn with_secret(
    app: &EntraApp,
    resource: &str,
    secret: &Secret,
) -> Result<Request<Bytes>> {
    post(app, resource, &[("client_secret", secret.expose())])
}

/// Asks with an assertion: our own, or another issuer's token.
pub(super) fn with_assertion(
    app: &EntraApp,
    resource: &str,
    assertion: &Secret,
) -> Result<Request<Bytes>> {
    // Files end in a line feed.
    let assertion = assertion.expose().trim();
    let fields = [
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
    ];
    post(app, resource, &fields)
}

fn post(app: &EntraApp, resource: &str, proof: &[(&str, &str)]) -> Result<Request<Bytes>> {
    let scope = format!("{resource}/.default");
    let common = [
        ("grant_type", "client_credentials"),
        ("client_id", app.client_id()),
        ("scope", &scope),
    ];
    // Three bytes for each and the names: growing would leave a copy of the secret behind.
    let longest = |(name, value): &(&str, &str)| name.len() + 3 * value.len() + 2;
    let room = common.iter().chain(proof).map(longest).sum();
    let mut form = Zeroizing::new(String::with_capacity(room));
    for (name, value) in common.iter().chain(proof) {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        form.extend(utf8_percent_encode(value, ENCODED));
    }
    Request::builder()
        .method(Method::POST)
        .uri(app.token_url())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from_owner(Form(form)))
        .map_err(|_| Error::invalid("the request for a token could not be built"))
}

/// A form that is overwritten once it was sent.
struct Form(Zeroizing<String>);

impl AsRef<[u8]> for Form {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entra::Authority;

    fn app() -> EntraApp {
        EntraApp::new(Authority::default(), "t-1", "c-1").unwrap()
    }

    #[track_caller]
    fn check(request: Result<Request<Bytes>>, body: &str) {
        let request = request.unwrap();
        assert_eq!(
            (request.method(), request.uri().to_string().as_str()),
            (
                &Method::POST,
                "https://login.microsoftonline.com/t-1/oauth2/v2.0/token"
            )
        );
        assert_eq!(
            request.headers()[CONTENT_TYPE],
            "application/x-www-form-urlencoded"
        );
        assert_eq!(std::str::from_utf8(request.body()).unwrap(), body);
    }

    #[test]
    fn a_secret_is_sent_encoded() {
        check(
            with_secret(&app(), "https://iothubs.azure.net", &"a+b&c=d ~".into()),
            "grant_type=client_credentials&client_id=c-1\
             &scope=https%3A%2F%2Fiothubs.azure.net%2F.default&client_secret=a%2Bb%26c%3Dd%20~",
        );
    }

    #[test]
    fn an_assertion_is_sent_with_its_type() {
        check(
            with_assertion(&app(), "https://iothubs.azure.us", &"e.y.J\n".into()),
            "grant_type=client_credentials&client_id=c-1\
             &scope=https%3A%2F%2Fiothubs.azure.us%2F.default\
             &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
             &client_assertion=e.y.J",
        );
    }
}
