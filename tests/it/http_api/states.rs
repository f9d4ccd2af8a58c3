//! Twins, as the web UI shows and edits them.

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Place, device};

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_is_shown_and_replaced_and_its_tags_stay() -> Result<()> {
    let place = Place::new("http-state").await?;
    let integration = place.integrate().await?;
    let id = device(&place).await?;
    let provision = json!({"id": id, "status": "accepted", "revision": 1});
    place.internal("POST /tenants//devices", &provision).await?;
    place.events(1).await?;

    let all = format!("GET /devices/{id}/state");
    let (status, shown) = place.management(&all, &Value::Null).await?;
    assert_eq!(status, StatusCode::OK);
    let fresh = json!({"desired": {}, "reported": {}});
    assert_eq!(shown, json!({integration.clone(): fresh}));

    let line = format!("PUT /devices/{id}/state/{integration}");
    let edit = json!({"desired": {"interval": 5, "deep": {"a": [1]}}});
    let (status, state) = place.management(&line, &edit).await?;
    assert_eq!(status, StatusCode::OK, "{state}");
    assert_eq!(state, json!({"desired": edit["desired"], "reported": {}}));
    let edit = json!({"desired": {"interval": 6}});
    let (_, state) = place.management(&line, &edit).await?;
    assert_eq!(
        state["desired"], edit["desired"],
        "what is not sent is gone"
    );
    let twin = place
        .worker
        .cli(&["twin", "get", &id, "--output", "json"])
        .await?
        .json()?;
    assert_eq!(twin["tags"]["mender"], json!(true), "{twin}");

    let (status, answer) = place
        .management("GET /devices/unknown/state", &Value::Null)
        .await?;
    assert_eq!(
        (status, &answer["error"]),
        (StatusCode::NOT_FOUND, &json!("device not found"))
    );
    place.dir.passed();
    Ok(())
}
