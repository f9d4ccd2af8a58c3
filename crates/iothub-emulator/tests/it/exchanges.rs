//! The file of whole exchanges.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::harness::Emulator;

#[tokio::test]
async fn exchanges_are_written_down_whole_but_for_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("exchanges");
    // A file that is there already, for all to read.
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let hub = Emulator::start(&["--exchanges", file.to_str().unwrap()]);
    let body = json!({"deviceId": "d 1"});
    let refused = hub.send("PUT", "/devices/d%201", None, Some(&body)).await;
    let body = json!({"deviceId": "d:1"});
    let made = hub.send("PUT", "/devices/d%3A1", None, Some(&body)).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!((lines.len(), refused.status, made.status), (2, 400, 200));
    assert_eq!(lines[0]["reply"]["status"], 400);
    let exchange = &lines[1];
    assert_eq!(
        (&exchange["seq"], &exchange["method"]),
        (&json!(2), &json!("PUT"))
    );
    assert_eq!(exchange["path"], "/devices/d%3A1");
    assert_eq!(exchange["query"], "api-version=2021-04-12");
    assert_eq!(exchange["body"], body.to_string());
    assert_eq!(exchange["reply"]["body"], made.text);
    assert!(exchange["reply"]["headers"]["etag"].is_string());
    assert_eq!(
        exchange["headers"]["authorization"],
        "SharedAccessSignature"
    );
    assert!(!text.contains("sig="));
    let rights = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(rights & 0o077, 0, "it holds keys of devices");
}
