//! From an outcome to an HTTP response, with the headers the service puts on each.

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode, Version};
use uuid::Uuid;

use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::faults::FaultAnswer;
use crate::service::Answer;

const SERVER: HeaderValue = HeaderValue::from_static("Microsoft-HTTPAPI/2.0");
const ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const CLOSE: HeaderValue = HeaderValue::from_static("close");
const ERROR_CODE: HeaderName = HeaderName::from_static("iothub-errorcode");
const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");
/// Carries a continuation token, both ways.
pub(crate) const CONTINUATION: &str = "x-ms-continuation";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

/// What a request ended in.
#[derive(Debug)]
pub(crate) struct Outcome {
    answer: Result<Answer, ServiceError>,
    /// Only ever set by a fault: the real service sends no `Retry-After`.
    retry_after: Option<String>,
}

impl Outcome {
    /// The refusal that a fault rule asks for.
    pub(crate) fn injected(answer: &FaultAnswer) -> Self {
        let error = ServiceError::injected(answer.status, answer.error.as_deref());
        Self {
            answer: Err(error),
            retry_after: answer.retry_after.clone(),
        }
    }
}

impl From<Result<Answer, ServiceError>> for Outcome {
    fn from(answer: Result<Answer, ServiceError>) -> Self {
        Self {
            answer,
            retry_after: None,
        }
    }
}

impl From<ServiceError> for Outcome {
    fn from(error: ServiceError) -> Self {
        Self {
            answer: Err(error),
            retry_after: None,
        }
    }
}

/// Renders an outcome under a new request id.
pub(crate) fn render(outcome: &Outcome, version: Version, now: Ticks) -> Response<Bytes> {
    let request_id = Uuid::new_v4().to_string();
    let (status, body) = match &outcome.answer {
        Ok(answer) => (answer.status, answer.body.clone()),
        Err(error) => (error.status, error.body(&request_id, now)),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::SERVER, SERVER);
    headers.insert(header::VARY, ORIGIN);
    put(&mut headers, REQUEST_ID, &request_id);
    if !body.is_empty() {
        headers.insert(header::CONTENT_TYPE, JSON);
    }
    match &outcome.answer {
        Ok(answer) => describe(answer, &mut headers),
        Err(error) => put(&mut headers, ERROR_CODE, &error.name),
    }
    put(
        &mut headers,
        header::RETRY_AFTER,
        outcome.retry_after.as_deref().unwrap_or_default(),
    );
    let closes = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYLOAD_TOO_LARGE
    );
    // HTTP/2 has no such header.
    if closes && version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, CLOSE);
    }
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Adds what only some answers carry.
fn describe(answer: &Answer, headers: &mut HeaderMap) {
    if let Some(etag) = &answer.etag {
        put(headers, header::ETAG, &format!("\"{etag}\""));
    }
    put(headers, ITEM_TYPE, answer.item_type.unwrap_or_default());
    let continuation = answer.continuation.as_deref().unwrap_or_default();
    put(headers, HeaderName::from_static(CONTINUATION), continuation);
    for (name, value) in &answer.headers {
        put(headers, HeaderName::from_static(name), value);
    }
}

/// Adds a header unless it is empty.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if !value.is_empty()
        && let Ok(value) = HeaderValue::from_str(value)
    {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Ticks = Ticks::from_unix_micros(1_767_225_600_000_000);

    fn header<'a>(response: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    }

    fn answered(status: StatusCode, body: &str, etag: Option<&str>) -> Response<Bytes> {
        let answer = Answer {
            status,
            etag: etag.map(str::to_owned),
            ..Answer::ok(body.to_owned())
        };
        render(&Outcome::from(Ok(answer)), Version::HTTP_11, NOW)
    }

    #[test]
    fn every_answer_carries_the_headers_of_the_service() {
        let response = answered(StatusCode::OK, "{}", Some("MQ=="));
        assert_eq!(header(&response, "server"), Some("Microsoft-HTTPAPI/2.0"));
        assert_eq!(header(&response, "vary"), Some("Origin"));
        assert_eq!(header(&response, "x-ms-request-id").unwrap().len(), 36);
        assert_eq!(
            header(&response, "content-type"),
            Some("application/json; charset=utf-8")
        );
        assert_eq!(header(&response, "etag"), Some("\"MQ==\""));
        assert_eq!(header(&response, "iothub-errorcode"), None);
    }

    #[test]
    fn an_empty_answer_has_no_content_type_and_a_twin_no_etag() {
        let response = answered(StatusCode::NO_CONTENT, "", None);
        assert_eq!(
            (header(&response, "content-type"), header(&response, "etag")),
            (None, None)
        );
    }

    #[test]
    fn a_throttled_request_closes_the_connection_without_retry_after() {
        let outcome = Outcome::from(ServiceError::throttled(crate::throttle::Meter::Registry));
        let response = render(&outcome, Version::HTTP_11, NOW);
        assert_eq!(header(&response, "connection"), Some("close"));
        assert_eq!(header(&response, "retry-after"), None);
        assert_eq!(
            header(&response, "iothub-errorcode"),
            Some("ThrottlingBacklogTimeout")
        );
        assert_eq!(
            header(&render(&outcome, Version::HTTP_2, NOW), "connection"),
            None
        );
    }

    #[test]
    fn a_fault_may_set_retry_after() {
        let answer = FaultAnswer {
            status: StatusCode::TOO_MANY_REQUESTS,
            error: None,
            retry_after: Some("soon".to_owned()),
        };
        let outcome = Outcome::injected(&answer);
        assert_eq!(
            header(&render(&outcome, Version::HTTP_11, NOW), "retry-after"),
            Some("soon")
        );
    }
}
