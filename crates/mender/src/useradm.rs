//! The useradm service: who a user's token is of, and what its roles allow.
//!
//! It is asked as Mender's gateway asks it about each request: `GET auth/verify` with the caller's
//! token and, in `X-Forwarded-…`, what the caller wants to send. Signature, expiry, revocation and
//! roles are judged there. A request that was not judged is an error: the caller must refuse it.

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::error::{Error, Result, Service};
use crate::options::{Options, SetupError};
use crate::transport::{Call, Transport};

/// Nothing in the body is read.
const MAX_BODY: usize = 64 * 1024;
const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
/// Names of groups, separated by commas: the request is allowed with devices of these.
const GROUPS: HeaderName = HeaderName::from_static("x-men-rbac-inventory-groups");

/// What useradm says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It is allowed.
    Allowed,
    /// It is allowed with devices of these groups.
    Within(Vec<String>),
    /// The token is none, or not good any more.
    Unauthenticated,
    /// The user may not send it.
    Forbidden,
}

/// The useradm service of one Mender server. Clones share connections.
#[derive(Debug, Clone)]
pub struct Useradm(Transport);

impl Useradm {
    /// A client for the service at `base_url`. Connects to nothing yet.
    pub fn new(base_url: &str, options: Options) -> std::result::Result<Self, SetupError> {
        Transport::new(Service::Useradm, base_url, options).map(Self)
    }

    /// Whether the service, with its database, is well.
    pub async fn health(&self) -> Result<()> {
        let call = Call::get(format!("{}/health", Service::Useradm.api()));
        self.0.send(call, StatusCode::NO_CONTENT, 0).await.map(drop)
    }

    /// Whether the user of `token` may send `method` to `uri`, a path of Mender's management API.
    pub async fn verify(&self, token: &str, method: &str, uri: &str) -> Result<Judged> {
        let path = format!("{}/auth/verify", Service::Useradm.api());
        let call = Call {
            headers: headers(token, method, uri)?,
            quotable: false,
            ..Call::get(path)
        };
        match self.0.send(call, StatusCode::OK, MAX_BODY).await {
            Ok(answer) => {
                groups(&answer.headers).ok_or_else(|| self.0.malformed("groups that are not text"))
            }
            Err(Error::Refused {
                status: Some(401), ..
            }) => Ok(Judged::Unauthenticated),
            Err(Error::Refused {
                status: Some(403), ..
            }) => Ok(Judged::Forbidden),
            Err(error) => Err(error),
        }
    }
}

fn headers(token: &str, method: &str, uri: &str) -> Result<HeaderMap> {
    let value = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| Error::Refused {
            service: Service::Useradm,
            status: None,
            reason: "a token or URI that no header can hold".to_owned(),
        })
    };
    let mut token = value(&format!("Bearer {token}"))?;
    token.set_sensitive(true);
    let entries = [
        (AUTHORIZATION, token),
        (METHOD, value(method)?),
        (URI, value(uri)?),
    ];
    Ok(entries.into_iter().collect())
}

fn groups(headers: &HeaderMap) -> Option<Judged> {
    if !headers.contains_key(GROUPS) {
        return Some(Judged::Allowed);
    }
    let mut groups = Vec::new();
    for value in headers.get_all(GROUPS) {
        let names = value.to_str().ok()?.split(',').map(str::trim);
        groups.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    Some(Judged::Within(groups))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_does_not_show_in_a_debug_form() {
        let headers = headers("secret-token", "GET", "/a").expect("headers");
        assert!(!format!("{headers:?}").contains("secret-token"));
        assert_eq!(headers["x-forwarded-uri"], "/a");
        assert!(super::headers("a\r\nb", "GET", "/a").is_err());
    }

    #[test]
    fn an_empty_list_of_groups_is_not_no_list() {
        let mut headers = HeaderMap::new();
        assert_eq!(groups(&headers), Some(Judged::Allowed));
        headers.insert(GROUPS, HeaderValue::from_static(""));
        assert_eq!(groups(&headers), Some(Judged::Within(Vec::new())));
        headers.append(GROUPS, HeaderValue::from_static("a, b"));
        let both = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(groups(&headers), Some(Judged::Within(both)));
    }
}
