//! Integrations: one a tenant.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::testing::{Answer, KEY, World, claims, connection_string, token};

fn body() -> Value {
    json!({"provider": "iot-hub", "credentials": {"type": "sas", "connection_string": connection_string()}})
}

async fn create(world: &World, body: &Value) -> Answer {
    world
        .management("POST /integrations", &body.to_string())
        .await
}

/// A world with one, and its id.
async fn made() -> (World, String) {
    let world = World::new();
    let answer = create(&world, &body()).await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::CREATED, "")
    );
    let location = answer.headers["location"].to_str().unwrap();
    let id = location
        .strip_prefix("/api/management/v1/iot-manager/integrations/")
        .unwrap();
    let id = id.to_owned();
    (world, id)
}

#[tokio::test]
async fn there_are_none_at_first_and_that_is_an_array() {
    let answer = World::new().management("GET /integrations", "").await;
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!([])));
}

#[tokio::test]
async fn a_new_one_is_listed_with_a_masked_key_and_no_paging_headers() {
    let (world, id) = made().await;
    let expected = json!({"id": id, "provider": "iot-hub", "credentials": {"type": "sas",
        "connection_string": "HostName=h.azure-devices.net;SharedAccessKeyName=mender;SharedAccessKey=MDEy...<omitted>"}});
    let answer = world
        .management("GET /integrations?page=7&per_page=x", "")
        .await;
    assert_eq!(answer.json(), json!([expected]));
    assert!(!answer.headers.contains_key("link"));
    let answer = world
        .management(&format!("GET /integrations/{id}"), "")
        .await;
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn a_description_is_kept_and_an_empty_one_left_out() {
    let world = World::new();
    let mut described = body();
    described["description"] = json!("north");
    create(&world, &described).await;
    let listed = world.management("GET /integrations", "").await.json();
    assert_eq!(listed[0]["description"], "north");
}

#[tokio::test]
async fn an_id_that_is_a_uuid_is_ignored() {
    let mut with_id = body();
    with_id["id"] = json!("3F6C0000-0000-4000-8000-000000000000");
    let world = World::new();
    assert_eq!(create(&world, &with_id).await.status, 201);
    let listed = world.management("GET /integrations", "").await.json();
    assert_ne!(listed[0]["id"], "3f6c0000-0000-4000-8000-000000000000");
}

#[tokio::test]
async fn a_second_one_is_409_integration_already_exists() {
    let (world, _) = made().await;
    let answer = create(&world, &body()).await;
    assert_eq!(
        (answer.status, answer.error()),
        (StatusCode::CONFLICT, "integration already exists".into())
    );
}

#[tokio::test]
async fn of_two_racing_creates_one_is_201_and_one_409() {
    let world = World::new();
    let of_new = body();
    let (one, other) = tokio::join!(create(&world, &of_new), create(&world, &of_new));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn an_id_is_taken_in_every_form_of_a_uuid() {
    let (world, id) = made().await;
    let plain = id.replace('-', "");
    for form in [
        id.to_uppercase(),
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
        plain,
    ] {
        let answer = world
            .management(&format!("GET /integrations/{form}"), "")
            .await;
        assert_eq!(answer.json()["id"], json!(id), "{form}");
    }
}

#[tokio::test]
async fn a_bad_id_is_400_before_the_body_is_read() {
    let (world, _) = made().await;
    for line in [
        "GET /integrations/new",
        "PUT /integrations/new/credentials",
        "DELETE /integrations/new",
    ] {
        let answer = world.management(line, "nonsense").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let text = "integration ID must be a valid UUID: invalid UUID length: 3";
        assert_eq!(answer.error(), text);
    }
    let answer = world
        .management(&format!("GET /integrations/{}", "x".repeat(36)), "")
        .await;
    assert_eq!(
        answer.error(),
        "integration ID must be a valid UUID: invalid UUID format"
    );
}

#[tokio::test]
async fn another_tenants_or_an_unknown_one_is_404_integration_not_found() {
    let (world, id) = made().await;
    let stranger = token(&claims("bob", "t2"));
    let credential = body()["credentials"].to_string();
    let unknown = "3f6c0000-0000-4000-8000-000000000000".to_owned();
    for (line, sent) in [
        ("GET /integrations/{}", ""),
        ("PUT /integrations/{}/credentials", credential.as_str()),
        ("DELETE /integrations/{}", "{}"),
    ] {
        let theirs = world.of(&stranger, &line.replace("{}", &id), sent).await;
        let none = world.management(&line.replace("{}", &unknown), sent).await;
        for answer in [theirs, none] {
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{line}");
            assert_eq!(answer.error(), "integration not found");
        }
    }
    assert_eq!(world.held().integrations.len(), 1);
}

#[tokio::test]
async fn a_new_credential_is_204_and_takes_the_place_of_the_old_one() {
    let (world, id) = made().await;
    let string = connection_string().replace("MDEy", "YWFh");
    let credential = json!({"type": "sas", "connection_string": string});
    let answer = world
        .management(
            &format!("PUT /integrations/{id}/credentials"),
            &credential.to_string(),
        )
        .await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::NO_CONTENT, "")
    );
    let listed = world.management("GET /integrations", "").await.body;
    assert!(
        listed.contains("SharedAccessKey=YWFh...<omitted>"),
        "{listed}"
    );
}

#[tokio::test]
async fn saving_what_is_shown_is_400_and_the_key_stays() {
    let (world, id) = made().await;
    let listed = world.management("GET /integrations", "").await.json();
    let credential = listed[0]["credentials"].to_string();
    let answer = world
        .management(&format!("PUT /integrations/{id}/credentials"), &credential)
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(
        answer
            .error()
            .starts_with("malformed request body: shared access key format: ")
    );
    let kept = world.held().integrations.values().next().unwrap().1.clone();
    assert_eq!(kept.key.as_str(), KEY);
}

#[tokio::test]
async fn one_is_deleted_with_204_also_with_a_body() {
    let (world, id) = made().await;
    let line = format!("DELETE /integrations/{id}");
    let answer = world.management(&line, "{}").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::NO_CONTENT, "")
    );
    assert_eq!(world.management(&line, "{}").await.status, 404);
    assert_eq!(world.management("GET /integrations", "").await.body, "[]");
}

#[tokio::test]
async fn one_in_use_by_devices_is_409() {
    let (world, id) = made().await;
    world.held().in_use = true;
    let answer = world
        .management(&format!("DELETE /integrations/{id}"), "")
        .await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(
        answer.error(),
        "cannot remove integration in use by devices"
    );
}

#[tokio::test]
async fn a_store_that_is_away_is_503_and_never_401() {
    let (world, id) = made().await;
    world.held().is_away = true;
    for line in [
        "GET /integrations".to_owned(),
        format!("DELETE /integrations/{id}"),
    ] {
        assert_eq!(world.management(&line, "").await.status, 503);
    }
    assert_eq!(create(&world, &body()).await.status, 503);
}
