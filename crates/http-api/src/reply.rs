//! Answers, in the form that iot-manager gives them.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::request_id::{self, RequestId};

/// One answer, without the request's id.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Nothing,
    Json(Vec<u8>),
    Error(String),
    /// An error without the request's id.
    Bare(String),
}

impl Reply {
    /// No body at all.
    pub(crate) const fn empty(status: StatusCode) -> Self {
        Self::new(status, Content::Nothing)
    }

    /// 200 with a JSON document.
    pub(crate) fn json(document: &impl Serialize) -> Self {
        match serde_json::to_vec(document) {
            Ok(body) => Self::new(StatusCode::OK, Content::Json(body)),
            Err(_) => Self::error(StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        }
    }

    /// `{"error":…,"request_id":…}`.
    pub(crate) fn error(status: StatusCode, text: impl Into<String>) -> Self {
        Self::new(status, Content::Error(text.into()))
    }

    /// 400.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::error(StatusCode::BAD_REQUEST, text)
    }

    /// 404 of a path that is not there.
    pub(crate) fn not_found() -> Self {
        Self::error(StatusCode::NOT_FOUND, "not found")
    }

    /// 503, and when to come back.
    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self::error(StatusCode::SERVICE_UNAVAILABLE, text).retry_after()
    }

    /// 503 `{"error":…}`, as of the health check alone.
    pub(crate) fn unhealthy(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Content::Bare(text.into()))
    }

    /// Says that the same request may be sent again in a second.
    pub(crate) fn retry_after(self) -> Self {
        self.with(
            axum::http::header::RETRY_AFTER,
            HeaderValue::from_static("1"),
        )
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same without a body.
    pub(crate) fn silent(mut self) -> Self {
        self.content = Content::Nothing;
        self
    }

    const fn new(status: StatusCode, content: Content) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content,
        }
    }

    pub(crate) fn into_response(self, id: &RequestId) -> Response<Body> {
        let body = match self.content {
            Content::Nothing => None,
            Content::Json(body) => Some(body),
            Content::Error(error) => {
                let error = json!({"error": error, "request_id": id.as_str()});
                Some(error.to_string().into_bytes())
            }
            Content::Bare(error) => Some(json!({"error": error}).to_string().into_bytes()),
        };
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(request_id::HEADER, id.to_header());
        headers.extend(self.headers);
        if let Some(body) = body {
            const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
            headers.insert(CONTENT_TYPE, JSON);
            *response.body_mut() = Body::from(body);
        }
        *response.status_mut() = self.status;
        response
    }
}
