//! The workflows worker's side of HTTP: the calls of iot-manager's internal API that Mender's
//! built-in workflows make.
//!
//! The real worker gives up on a refused connection at once, and on anything else after three
//! further attempts; then the event is lost. This one does so only with what the service refuses for
//! good, a 400 say: else the same bytes would go round for ever. While the service is away or busy it
//! goes on, so that what is judged is what became of accepted events.

use std::time::Duration;

use anyhow::{Context as _, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::workflows::Message;

/// Built-in workflows wait as long.
const TIMEOUT: Duration = Duration::from_secs(8);
const API: &str = "/api/internal/v1/iot-manager";
/// How often the built-in workflows try again.
const RETRIES: usize = 3;
/// Between two tries. Theirs is five seconds, for which no test should wait.
const PAUSE: Duration = Duration::from_millis(100);

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    /// With what the workflow takes for success.
    Accepted,
    /// It was refused, or there was no connection: nothing was done.
    Refused,
    /// Nobody knows whether it took effect.
    Unknown,
    /// It was refused for good, each time: the job fails, and the event is lost.
    Lost,
}

/// The way to one iot-manager.
pub(crate) struct IotManager {
    client: Client,
    base: String,
}

/// What events hold for HTTP. Values are passed on as they are.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "event")]
    kind: &'a str,
    #[serde(default)]
    request_id: String,
    tenant_id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    device_id: String,
    #[serde(borrow, default)]
    device: Option<&'a RawValue>,
    #[serde(borrow, default)]
    devices: Option<&'a RawValue>,
}

/// One request.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    method: Method,
    path: String,
    request_id: String,
    body: Option<String>,
}

impl IotManager {
    /// `address` is `host:port`, as in `IOT_MANAGER_ADDR`.
    pub(crate) fn new(address: &str) -> Result<Self> {
        let client = Client::builder().timeout(TIMEOUT).no_proxy().build();
        Ok(Self {
            client: client.context("failed to make an HTTP client")?,
            base: format!("http://{address}{API}"),
        })
    }

    /// Calls what the built-in workflow would; `None` if the message is of no workflow.
    pub(crate) async fn call(&self, message: &Message) -> Option<Called> {
        let call = Call::of(message)?;
        for _ in 0..RETRIES {
            match self.once(&call).await {
                Called::Lost => tokio::time::sleep(PAUSE).await,
                called => return Some(called),
            }
        }
        Some(self.once(&call).await)
    }

    async fn once(&self, call: &Call) -> Called {
        let url = format!("{}{}", self.base, call.path);
        let mut request = self.client.request(call.method.clone(), url);
        request = request.header("X-MEN-RequestID", call.request_id.clone());
        if let Some(body) = call.body.clone() {
            request = request
                .header("Content-Type", "application/json")
                .body(body);
        }
        match request.send().await {
            Ok(answer) if call.succeeds(answer.status()) => Called::Accepted,
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => Called::Refused,
            Ok(answer) if is_for_good(answer.status()) => Called::Lost,
            Err(error) if error.is_connect() => Called::Refused,
            Ok(_) | Err(_) => Called::Unknown,
        }
    }
}

/// Whether the same bytes would be refused for ever.
fn is_for_good(status: StatusCode) -> bool {
    let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    status.is_client_error() && !busy.contains(&status)
}

impl Call {
    fn of(message: &Message) -> Option<Self> {
        let event: Event<'_> = serde_json::from_slice(&message.body).ok()?;
        let part = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let tenant = format!("/tenants/{}", part(&event.tenant_id));
        let (method, path, body) = match event.kind {
            "device-provisioned" => (Method::POST, "/devices".to_owned(), Some(event.device?)),
            "device-status-changed" => {
                let path = format!("/bulk/devices/status/{}", event.status);
                (Method::PUT, path, Some(event.devices?))
            }
            "device-decommissioned" => {
                let path = format!("/devices/{}", part(&event.device_id));
                (Method::DELETE, path, None)
            }
            _ => return None,
        };
        Some(Self {
            method,
            path: format!("{tenant}{path}"),
            request_id: event.request_id,
            body: body.map(|body| body.get().to_owned()),
        })
    }

    /// As the workflows' definitions have it.
    fn succeeds(&self, status: StatusCode) -> bool {
        let codes: &[u16] = match self.method {
            Method::POST => &[201, 202, 204, 409],
            _ => &[200, 201, 202, 204, 404],
        };
        codes.contains(&status.as_u16())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;

    use super::*;
    use crate::workflows::raw;

    fn call(body: &str) -> Option<Call> {
        Call::of(&raw("lifecycle.device", body.as_bytes().to_vec(), None))
    }

    #[test]
    fn each_event_is_the_call_of_its_workflow() {
        let made = call(
            r#"{"event":"device-provisioned","tenant_id":"","request_id":"r","device":{"id":"d"}}"#,
        )
        .unwrap();
        assert_eq!(
            (made.method.as_str(), made.path.as_str()),
            ("POST", "/tenants//devices")
        );
        assert_eq!(made.body.as_deref(), Some(r#"{"id":"d"}"#));
        let made = call(r#"{"event":"device-status-changed","tenant_id":"t","status":"noauth","devices":[{"id":"d"}]}"#).unwrap();
        assert_eq!(
            (made.method.as_str(), made.path.as_str()),
            ("PUT", "/tenants/t/bulk/devices/status/noauth")
        );
        let made =
            call(r#"{"event":"device-decommissioned","tenant_id":"","device_id":"d"}"#).unwrap();
        assert_eq!(
            (made.method.as_str(), made.path.as_str()),
            ("DELETE", "/tenants//devices/d")
        );
    }

    #[test]
    fn what_is_of_no_workflow_is_no_call() {
        assert_eq!(call("{"), None);
        assert_eq!(call(r#"{"event":"other","tenant_id":""}"#), None);
    }

    /// How a call ended that is always answered so, and how often it was made.
    async fn answered(status: StatusCode) -> (Called, usize) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let router = Router::new().fallback(move || async move {
            counted.fetch_add(1, Ordering::Relaxed);
            status
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async { axum::serve(listener, router).await });
        let body = r#"{"event":"device-provisioned","tenant_id":"","device":{"id":"d"}}"#;
        let message = raw("lifecycle.device", body.into(), None);
        let service = IotManager::new(&address).unwrap();
        let called = service.call(&message).await.unwrap();
        server.abort();
        (called, calls.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_is_refused_for_good_is_tried_three_times_more_and_lost() {
        for status in [StatusCode::BAD_REQUEST, StatusCode::PAYLOAD_TOO_LARGE] {
            assert_eq!(answered(status).await, (Called::Lost, 4));
        }
        let busy = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(
            answered(busy).await,
            (Called::Refused, 1),
            "asked again later"
        );
        let late = StatusCode::REQUEST_TIMEOUT;
        assert_eq!(answered(late).await, (Called::Unknown, 1));
        let taken = StatusCode::CONFLICT;
        assert_eq!(answered(taken).await, (Called::Accepted, 1));
    }
}
