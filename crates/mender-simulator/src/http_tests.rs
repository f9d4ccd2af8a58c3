//! The whole server over real connections, but without NATS: events are held back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::options::ServerVersion;
use crate::publisher::Publisher;
use crate::simulator::Simulator;

const DEPLOY: &str = "/api/internal/v1/deviceconfig/tenants//configurations/device/d/deploy";

struct Server {
    address: String,
}

impl Server {
    /// A server with the accepted device `d` of the empty tenant.
    async fn start() -> Self {
        // Nobody is asked for anything at this address: nothing is published.
        let publisher = Publisher::connect("nats://127.0.0.1:1").await;
        let publisher = publisher.expect("connecting goes on in the background");
        let simulator = Arc::new(Simulator::new(ServerVersion::Main, publisher));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(crate::server::serve(listener, crate::router(simulator)));
        let server = Self { address };
        let device = json!({"devices": [{"id": "d"}]});
        server.control("POST", "/simulator/devices", &device).await;
        let accept = json!({"id": "d", "status": "accepted", "hold": true});
        server
            .control("POST", "/simulator/devices/status", &accept)
            .await;
        server
    }

    /// Status and body of an answer; nothing if the server hung up.
    async fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = self.send(method, path, body).await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("text");
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1).expect("a status");
        Some((status.parse().expect("a number"), body.to_owned()))
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.expect("a server");
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        stream
            .write_all(request.as_bytes())
            .await
            .expect("a reader");
        stream
    }

    async fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, &body.to_string()).await;
        let (status, body) = answer.expect("the control API does not hang up");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    async fn faults(&self, program: &Value) {
        self.control("PUT", "/simulator/faults", program).await;
    }

    async fn deploy(&self) -> Option<(u16, String)> {
        self.ask("POST", DEPLOY, "{}").await
    }

    async fn deployments(&self) -> Value {
        let truth = self.control("GET", "/simulator/truth", &Value::Null).await;
        truth["devices"][0]["deployments"].clone()
    }
}

#[tokio::test]
async fn an_accepted_device_is_known_to_both_services() {
    let server = Server::start().await;
    let list = "/api/internal/v1/devauth/tenants//devices?id=d";
    let (status, body) = server.ask("GET", list, "").await.expect("an answer");
    assert_eq!(status, 200);
    let devices: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(devices[0]["status"], "accepted");
    assert_eq!(devices[0].get("revision"), None);
    assert_eq!(server.deploy().await.expect("an answer").0, 200);
    assert_eq!(server.deployments().await, 1);
}

#[tokio::test]
async fn a_device_belongs_to_its_tenant() {
    let server = Server::start().await;
    let path = |tenant: &str| format!("/api/internal/v1/devauth/tenants/{tenant}/devices/d/status");
    let of = async |tenant| {
        server
            .ask("GET", &path(tenant), "")
            .await
            .map(|answer| answer.0)
    };
    assert_eq!(of("").await, Some(200));
    assert_eq!(of("other").await, Some(404));
}

#[tokio::test]
async fn a_decommissioned_device_stays_until_its_event_is_out() {
    let server = Server::start().await;
    let order = json!({"ids": ["d"], "hold": true});
    let path = "/simulator/devices/decommission";
    assert_eq!(server.control("POST", path, &order).await["held"], 1);
    let list = "/api/internal/v1/devauth/tenants//devices?id=d";
    let (_, body) = server.ask("GET", list, "").await.expect("an answer");
    assert!(body.contains(r#""decommissioning":true"#), "{body}");
    let truth = server
        .control("GET", "/simulator/truth", &Value::Null)
        .await;
    assert_eq!(truth["devices"][0]["status"], "decommissioned");
    assert_eq!(truth["messages_held"], 2);
}

#[tokio::test]
async fn a_fault_before_the_effect_leaves_nothing_behind() {
    let server = Server::start().await;
    server
        .faults(&json!({"deviceconfig": {"status": 503}}))
        .await;
    assert_eq!(server.deploy().await.expect("an answer").0, 503);
    assert_eq!(server.deployments().await, 0);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_effect() {
    let server = Server::start().await;
    let fault = json!({"deviceconfig": {"effect": "after", "drop": true, "times": 1}});
    server.faults(&fault).await;
    assert_eq!(server.deploy().await, None);
    assert_eq!(server.deployments().await, 1);
    assert_eq!(server.deploy().await.expect("an answer").0, 200);
}

#[tokio::test]
async fn a_deployment_can_be_promised_and_not_started() {
    let server = Server::start().await;
    server
        .faults(&json!({"deviceconfig": {"zero_deployment_id": true}}))
        .await;
    let (status, body) = server.deploy().await.expect("an answer");
    assert_eq!(status, 200);
    assert!(
        body.contains("00000000-0000-0000-0000-000000000000"),
        "{body}"
    );
    assert_eq!(server.deployments().await, 0);
}

#[tokio::test]
async fn an_effect_comes_late_although_the_client_has_gone() {
    let server = Server::start().await;
    server
        .faults(&json!({"deviceconfig": {"delay_ms": 200, "times": 1}}))
        .await;
    drop(server.send("POST", DEPLOY, "{}").await);
    let deployed = async {
        while server.deployments().await != 1 {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), deployed).await;
    waited.expect("the effect never came");
}

#[tokio::test]
async fn a_service_that_is_down_answers_nobody_and_the_other_one_goes_on() {
    let server = Server::start().await;
    server
        .faults(&json!({"deviceconfig": {"down": true}}))
        .await;
    let health = |service: &str| format!("/api/internal/v1/{service}/health");
    assert_eq!(server.ask("GET", &health("deviceconfig"), "").await, None);
    let other = server.ask("GET", &health("devauth"), "").await;
    assert_eq!(other.expect("an answer").0, 204);
}

#[tokio::test]
async fn a_call_that_makes_no_sense_says_why() {
    let server = Server::start().await;
    for (path, body, expected) in [
        ("/simulator/devices", r#"{"devices":[{"id":"d"}]}"#, 409),
        (
            "/simulator/devices",
            r#"{"devices":[{"status":"accepted"}]}"#,
            400,
        ),
        (
            "/simulator/devices/status",
            r#"{"id":"x","status":"accepted"}"#,
            404,
        ),
        (
            "/simulator/devices/status",
            r#"{"id":"d","status":"preauthorized"}"#,
            409,
        ),
        (
            "/simulator/devices/decommission",
            r#"{"ids":["d","d"]}"#,
            409,
        ),
        ("/simulator/raw", "no", 400),
    ] {
        let (status, answer) = server.ask("POST", path, body).await.expect("an answer");
        assert_eq!(status, expected, "{path} {body}");
        assert!(answer.starts_with(r#"{"error":""#), "{answer}");
    }
}
