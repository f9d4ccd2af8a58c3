//! What all requests have in common.
//!
//! A path is given in segments, each of which is encoded whole, so nothing in an id can make it
//! two segments or begin the query.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH};
use http::{HeaderMap, Method, Request};
use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::host::HostName;
use crate::request::API_VERSION;
use crate::sas::ENCODED;

/// A request in the making.
pub(super) struct Draft {
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Draft {
    /// A request about `segments`, none of which is `.` or `..`.
    pub(super) fn new(method: Method, host: &HostName, segments: &[&str]) -> Self {
        let mut uri = format!("https://{host}");
        for segment in segments {
            uri.push('/');
            uri.extend(utf8_percent_encode(segment, ENCODED));
        }
        uri.push_str("?api-version=");
        uri.push_str(API_VERSION);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Self {
            method,
            uri,
            headers,
            body: Bytes::new(),
        }
    }

    pub(super) fn get(host: &HostName, segments: &[&str]) -> Self {
        Self::new(Method::GET, host, segments)
    }

    pub(super) fn put(host: &HostName, segments: &[&str]) -> Self {
        Self::new(Method::PUT, host, segments)
    }

    pub(super) fn post(host: &HostName, segments: &[&str]) -> Self {
        Self::new(Method::POST, host, segments)
    }

    pub(super) fn patch(host: &HostName, segments: &[&str]) -> Self {
        Self::new(Method::PATCH, host, segments)
    }

    pub(super) fn delete(host: &HostName, segments: &[&str]) -> Self {
        Self::new(Method::DELETE, host, segments)
    }

    /// Adds a parameter to the URL.
    pub(super) fn query(mut self, name: &str, value: &str) -> Self {
        self.uri.push('&');
        self.uri.push_str(name);
        self.uri.push('=');
        self.uri.extend(utf8_percent_encode(value, ENCODED));
        self
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Asks for this version, if one is named.
    pub(super) fn if_match(self, etag: Option<&str>) -> Result<Self> {
        match etag {
            None => Ok(self),
            Some(etag) => {
                let value = if_match(etag)?;
                Ok(self.header(IF_MATCH, value))
            }
        }
    }

    pub(super) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        self.header(CONTENT_TYPE, json)
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    pub(super) fn finish(self) -> Result<Request<Bytes>> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.uri)
            .body(self.body)
            .map_err(|_| Error::invalid("the request could not be built"))?;
        *request.headers_mut() = self.headers;
        Ok(request)
    }
}

/// The value of `If-Match` for one version and no other.
fn if_match(etag: &str) -> Result<HeaderValue> {
    check_etag(etag)?;
    HeaderValue::try_from(format!("\"{etag}\""))
        .map_err(|_| Error::invalid("the etag is malformed"))
}

/// Refuses what would match any version.
pub(crate) fn check_etag(etag: &str) -> Result<()> {
    let plain = etag.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
    if etag.is_empty() || etag == "*" || !plain {
        return Err(Error::invalid(
            "an etag is not empty, not `*`, and holds no quotes",
        ));
    }
    Ok(())
}

/// The body of an edit.
pub(crate) fn object(value: &Value) -> Result<&Value> {
    if value.is_object() {
        Ok(value)
    } else {
        Err(Error::invalid("an edit is a JSON object"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::request) fn host() -> HostName {
        "h.azure-devices.net".parse().unwrap()
    }

    /// Method, URL, headers and body, as they go over the wire. The host is left out.
    pub(in crate::request) fn text(request: Result<Request<Bytes>>) -> String {
        let request = request.unwrap();
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}\n", value.to_str().unwrap())
        };
        let headers: String = request.headers().iter().map(header).collect();
        let body = std::str::from_utf8(request.body()).unwrap();
        let uri = request.uri().to_string();
        let path = uri.strip_prefix("https://h.azure-devices.net").unwrap();
        format!("{} {path}\n{headers}{body}", request.method())
    }

    #[test]
    fn a_segment_stays_one_segment_and_a_value_one_value() {
        let draft = Draft::get(&host(), &["devices", "a/b?c#d%2e"]).query("x", "1&y=2 ü");
        assert_eq!(
            text(draft.finish()),
            "GET /devices/a%2Fb%3Fc%23d%252e?api-version=2021-04-12&x=1%26y%3D2%20%C3%BC\n\
             accept: application/json\n"
        );
    }
}
