//! Direct methods: the device's answer, and what it means that there is none.

use std::time::Duration;

use iothub::{Effect, Kind, Method, Options};
use serde_json::json;

use crate::server::{Reply, Server, answer, id, ok};

fn method() -> Method {
    Method::new("reboot")
        .unwrap()
        .payload(serde_json::from_str("[1.50]").unwrap())
        .unwrap()
}

#[tokio::test]
async fn a_devices_refusal_is_an_answer() {
    let server = Server::with([
        ok(r#"{"status":500,"payload":"no"}"#),
        ok(r#"{"status":200,"payload":null}"#),
    ])
    .await;
    let hub = server.hub();
    let answer = hub.call_method(&id(), &method()).await.unwrap();
    assert_eq!((answer.status, answer.payload), (500, json!("no")));
    let module = "cam".parse().unwrap();
    let answer = hub
        .call_module_method(&id(), &module, &method())
        .await
        .unwrap();
    assert_eq!(answer.status, 200);

    let [device, module] = server.seen().try_into().unwrap();
    assert!(device.line().starts_with("POST /twins/dev-1/methods?"));
    assert!(device.body.contains("[1.50]"), "{}", device.body);
    assert!(
        module
            .line()
            .starts_with("POST /twins/dev-1/modules/cam/methods?")
    );
}

#[tokio::test]
async fn a_device_that_is_offline_was_not_asked() {
    let nested = r#"{"Message":"{\"errorCode\":404103,\"trackingId\":\"T\",\"info\":null}","ExceptionMessage":""}"#;
    let server = Server::with([answer("404 Not Found", "", nested)]).await;
    let error = server
        .hub()
        .call_method(&id(), &method())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.effect(), error.number()),
        (Kind::NotAvailable, Effect::None, Some(404_103))
    );
}

#[tokio::test]
async fn a_device_that_did_not_answer_may_have_done_it_and_is_asked_once() {
    let header = "iothub-errorcode: GatewayTimeout\r\n";
    let late = || answer("504 Gateway Timeout", header, "");
    let server = Server::with([late(), late()]).await;
    let error = server
        .hub()
        .call_method(&id(), &method())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.effect(), error.number()),
        (Kind::NotAvailable, Effect::Unknown, Some(504_101))
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn the_request_outlasts_the_limit_of_other_calls() {
    let slow = Reply::After(
        Duration::from_millis(600),
        r#"{"status":200,"payload":null}"#.to_owned(),
    );
    let server = Server::with([slow]).await;
    let options = Options {
        request_timeout: Duration::from_millis(300),
        ..server.options()
    };
    let answer = server.hub_with(options).call_method(&id(), &method()).await;
    assert_eq!(answer.unwrap().status, 200);
}
