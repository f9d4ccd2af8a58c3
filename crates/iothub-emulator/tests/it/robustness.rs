//! What no client may do to the emulator, and how it ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Emulator;

async fn is_well(hub: &Emulator) {
    let fresh = hub.client_builder().build().unwrap();
    let response = hub
        .request_by(&fresh, "GET", "/devices")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn garbage_instead_of_tls_costs_only_its_connection() {
    let hub = Emulator::start(&[]);
    let address = hub.ready["listen"].as_str().unwrap();
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 4096],
        &[0x16, 3, 1, 0xff, 0xff],
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut rest = vec![];
        // Whether it ends with an alert or a reset does not matter, only that it ends.
        let ended = stream.read_to_end(&mut rest);
        assert!(!ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
    is_well(&hub).await;
}

#[tokio::test]
async fn an_over_long_header_is_refused() {
    let hub = Emulator::start(&[]);
    let client = hub.client_builder().http1_only().build().unwrap();
    let request = hub
        .request_by(&client, "GET", "/devices")
        .header("x-long", "x".repeat(200_000));
    // The emulator may close before the client is done writing, which the client calls an error.
    if let Ok(response) = request.send().await {
        assert_eq!(response.status(), 431);
    }
    is_well(&hub).await;
}

#[tokio::test]
async fn an_over_long_body_gets_413() {
    let hub = Emulator::start(&[]);
    let exact = json!({"deviceId": "d1", "x": "x".repeat(1024 * 1024 - 24)});
    assert_eq!(exact.to_string().len(), 1024 * 1024);
    assert_eq!(
        hub.send("PUT", "/devices/d1", None, Some(&exact))
            .await
            .status,
        200
    );
    let long = json!({"deviceId": "d2", "x": "x".repeat(1024 * 1024 - 23)});
    let refused = hub.send("PUT", "/devices/d2", None, Some(&long)).await;
    assert_eq!(
        (refused.status, refused.header("iothub-errorcode")),
        (413, Some("GenericRequestEntityTooLarge"))
    );
    is_well(&hub).await;
}

#[tokio::test]
async fn it_ends_within_a_second_even_with_requests_in_a_delay() {
    for signal in ["-TERM", "-INT"] {
        let mut hub = Emulator::start(&[]);
        hub.faults(&json!([{"delay_ms": 600_000}])).await;
        let waiting = tokio::spawn(hub.request("GET", "/devices/d1").send());
        hub.journal_until("d1", |entry| entry["effect_us"].is_null())
            .await;
        let started = Instant::now();
        let pid = hub.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        assert!(hub.child.wait().unwrap().success());
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "{:?}",
            started.elapsed()
        );
        waiting
            .await
            .unwrap()
            .expect_err("its connection must be closed");
    }
}

#[test]
fn a_control_port_open_to_others_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_iothub-emulator"))
        .args(["--tls-dir", "unused", "--control", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("loopback"));
}
