//! The check of a preauthorized device.

use serde_json::{Value, json};

use crate::pem::tests::{PKCS1, SPKI};
use crate::ports::{DeviceState, StateError};
use crate::testing::World;

const LINE: &str = "POST /tenants/t1/auth";

fn world() -> World {
    let world = World::new();
    let state = DeviceState {
        desired: json!({}),
        reported: json!({"id_data": {"mac": "00:11", "n": [1]}, "pubkey": SPKI}),
        etag: "e".to_owned(),
    };
    let device: messages::DeviceId = "d".parse().unwrap();
    world.held().twins.insert(device.clone(), state.clone());
    world
        .held()
        .modules
        .insert((device, "m".parse().unwrap()), state);
    world
}

fn asked() -> Value {
    json!({"external_id": "iot-hub d", "id_data": {"n": [1], "mac": "00:11"}, "pubkey": SPKI})
}

async fn check(world: &World, asked: &Value, expected: u16) {
    let answer = world.internal(LINE, &asked.to_string()).await;
    assert_eq!(answer.status, expected, "{asked}");
    assert_eq!(answer.body, "");
    assert!(answer.headers.contains_key("x-men-requestid"));
}

#[tokio::test]
async fn a_twin_that_says_the_same_is_204() {
    let world = world();
    check(&world, &asked(), 204).await;
    let mut of_module = asked();
    of_module["external_id"] = json!("iot-hub d/m");
    check(&world, &of_module, 204).await;
}

#[tokio::test]
async fn keys_are_compared_and_not_their_texts() {
    let mut other_form = asked();
    other_form["pubkey"] = json!(PKCS1);
    check(&world(), &other_form, 204).await;
}

#[tokio::test]
async fn what_is_malformed_is_400_without_a_body() {
    let world = world();
    let answer = world.internal(LINE, "nonsense").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (400, ""));
    for (field, value) in [
        ("pubkey", json!("no key")),
        ("pubkey", json!(null)),
        ("external_id", json!("iot-hub")),
        ("external_id", json!("iot-core d")),
        ("external_id", json!(7)),
        ("id_data", json!("x")),
    ] {
        let mut malformed = asked();
        malformed[field] = value;
        check(&world, &malformed, 400).await;
    }
}

#[tokio::test]
async fn everything_that_does_not_agree_is_401_without_a_body() {
    let world = world();
    for (field, value) in [
        ("id_data", json!({"mac": "00:11"})),
        ("id_data", json!({"mac": "00:11", "n": [2]})),
        ("external_id", json!("iot-hub other")),
        ("external_id", json!("iot-hub d/other")),
        ("external_id", json!("iot-hub ../x")),
        ("external_id", json!("iot-hub d/m/x")),
        ("external_id", json!("iot-hub ")),
    ] {
        let mut different = asked();
        different[field] = value;
        check(&world, &different, 401).await;
    }
    let mut other_key = asked();
    other_key["pubkey"] = json!(SPKI.replace("ALHs", "ALHt"));
    check(&world, &other_key, 401).await;
}

#[tokio::test(start_paused = true)]
async fn trouble_with_the_hub_is_401_too() {
    let world = world();
    world.held().trouble = Some(StateError::HubUnavailable);
    check(&world, &asked(), 401).await;
    world.held().trouble = None;
    world.held().hangs = true;
    check(&world, &asked(), 401).await;
}
