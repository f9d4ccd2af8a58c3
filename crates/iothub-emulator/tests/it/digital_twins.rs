//! Digital twins, and the little there is about messages.

use serde_json::json;

use crate::harness::Emulator;

async fn with_device() -> Emulator {
    let hub = Emulator::start(&[]);
    hub.control("PUT", "/devices/d1", "").await;
    hub
}

#[tokio::test]
async fn every_device_has_a_digital_twin() {
    let hub = with_device().await;
    let twin = hub.send("GET", "/digitaltwins/d1", None, None).await;
    assert_eq!(
        twin.json(),
        json!({"$dtId": "d1", "$metadata": {"$model": ""}})
    );
    assert_eq!(twin.header("etag"), Some("\"AAAAAAAAAAE=\""));
    hub.control("PUT", "/devices/d1/reported", r#"{"temperature":21}"#)
        .await;
    let twin = hub.send("GET", "/digitaltwins/d1", None, None).await.json();
    assert_eq!(twin["temperature"], 21);
    assert!(twin["$metadata"]["temperature"]["lastUpdateTime"].is_string());
    assert_eq!(
        hub.send("GET", "/digitaltwins/none", None, None)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_patch_goes_to_the_desired_properties() {
    let hub = with_device().await;
    let steps = json!([{"op": "add", "path": "/target", "value": 5}, {"op": "replace", "path": "/part/speed", "value": 1}]);
    let patched = hub
        .send("PATCH", "/digitaltwins/d1", None, Some(&steps))
        .await;
    assert_eq!(
        (patched.status, patched.header("etag")),
        (202, Some("\"AAAAAAAAAAI=\""))
    );
    assert!(
        patched
            .header("location")
            .unwrap()
            .starts_with("/digitaltwins/d1")
    );
    let twin = hub.send("GET", "/twins/d1", None, None).await.json();
    assert_eq!(
        twin["properties"]["desired"]["part"],
        json!({"__t": "c", "speed": 1})
    );
    let stale = hub
        .send(
            "PATCH",
            "/digitaltwins/d1",
            Some("\"AAAAAAAAAAE=\""),
            Some(&steps),
        )
        .await;
    assert_eq!(stale.status, 412);
    for bad in [
        json!({}),
        json!([{"op": "move", "path": "/a"}]),
        json!([{"op": "add", "path": "a"}]),
    ] {
        assert_eq!(
            hub.send("PATCH", "/digitaltwins/d1", None, Some(&bad))
                .await
                .status,
            400,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn commands_are_direct_methods() {
    let hub = with_device().await;
    let behaviour =
        r#"{"methods":{"blink":"echo","part*stop":{"status":202,"payload":"stopped"}}}"#;
    hub.control("PUT", "/devices/d1/behaviour", behaviour).await;
    let root = hub
        .send(
            "POST",
            "/digitaltwins/d1/commands/blink?responseTimeoutInSeconds=5",
            None,
            Some(&json!([1])),
        )
        .await;
    assert_eq!(
        (root.text.as_str(), root.header("x-ms-command-statuscode")),
        ("[1]", Some("200"))
    );
    let part = hub
        .send(
            "POST",
            "/digitaltwins/d1/components/part/commands/stop",
            None,
            None,
        )
        .await;
    assert_eq!(
        (part.text.as_str(), part.header("x-ms-command-statuscode")),
        ("\"stopped\"", Some("202"))
    );
}

#[tokio::test]
async fn there_is_never_any_feedback() {
    let hub = with_device().await;
    let none = hub
        .send("GET", "/messages/serviceBound/feedback", None, None)
        .await;
    assert_eq!((none.status, none.text.as_str()), (204, ""));
    let path = "/messages/serviceBound/feedback/lock";
    assert_eq!(hub.send("DELETE", path, None, None).await.status, 412);
    assert_eq!(
        hub.send("POST", &format!("{path}/abandon"), None, None)
            .await
            .status,
        412
    );
}
