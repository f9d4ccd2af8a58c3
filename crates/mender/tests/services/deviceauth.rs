//! The deviceauth client: above all, what it takes for "there is no such device".

use crate::support::{Play, Server, answer};
use mender::{Device, Error, MAX_PER_PAGE};

const DEVICE: &str = r#"{"id":"d-1","identity_data":{"mac":"00:11"},"status":"accepted",
    "decommissioning":true,"created_ts":"2026-08-20T10:11:12.345Z","auth_sets":[]}"#;

async fn status(body: &str) -> Result<Option<Device>, Error> {
    let server = Server::answering("200 OK", body).await;
    server.deviceauth().status("", "d-1").await
}

#[tokio::test]
async fn a_device_is_found_by_its_id() {
    let server = Server::answering("200 OK", &format!("[{DEVICE}]")).await;
    let found = server.deviceauth().status("", "d-1").await;
    let device = found.expect("an answer").expect("a device");
    assert_eq!(device.id, "d-1");
    assert_eq!(device.status, "accepted");
    assert!(device.decommissioning);
    assert_eq!(
        device.created_ts.as_deref(),
        Some("2026-08-20T10:11:12.345Z")
    );
    let path = "/api/internal/v1/devauth/tenants//devices?id=d-1";
    assert!(server.asked()[0].starts_with(&format!("GET {path} HTTP/1.1\r\n")));
}

#[tokio::test]
async fn an_empty_list_means_that_there_is_no_such_device() {
    assert_eq!(status("[]").await, Ok(None));
}

#[tokio::test]
async fn an_answer_to_another_question_means_nothing() {
    let other = r#"[{"id":"d-2","status":"accepted"}]"#;
    let twice = format!("[{DEVICE},{DEVICE}]");
    let more = format!("[{DEVICE},{{\"id\":\"d-2\",\"status\":\"accepted\"}}]");
    for body in [
        other,
        &twice,
        &more,
        "null",
        "{}",
        "",
        "<html>",
        r#"[{"id":"d-1"}]"#,
    ] {
        let answer = status(body).await;
        assert!(
            matches!(answer, Err(Error::Malformed { .. })),
            "{body}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_list_that_fails_means_nothing() {
    for code in [
        "404 Not Found",
        "500 Internal Server Error",
        "204 No Content",
        "302 Found",
    ] {
        let server = Server::answering(code, "").await;
        assert!(
            server.deviceauth().status("", "d-1").await.is_err(),
            "{code}"
        );
    }
    let server = Server::start(vec![Play::HangUp]).await;
    assert!(server.deviceauth().status("", "d-1").await.is_err());
}

#[tokio::test]
async fn the_status_alone_has_its_own_path() {
    let server = Server::answering("200 OK", r#"{"status":"pending"}"#).await;
    let found = server.deviceauth().device_status("t/1", "d-1").await;
    assert_eq!(found, Ok(Some("pending".to_owned())));
    let path = "/api/internal/v1/devauth/tenants/t%2F1/devices/d-1/status";
    assert!(server.asked()[0].starts_with(&format!("GET {path} HTTP/1.1\r\n")));
}

#[tokio::test]
async fn a_404_counts_only_in_menders_words() {
    let server = Server::answering("404 Not Found", r#"{"error":"not found"}"#).await;
    assert_eq!(server.deviceauth().device_status("", "d-1").await, Ok(None));
    let server = Server::answering("404 Not Found", "404 page not found").await;
    let answer = server.deviceauth().device_status("", "d-1").await;
    assert!(matches!(answer, Err(Error::Malformed { .. })), "{answer:?}");
}

#[tokio::test]
async fn pages_follow_each_other_by_their_links() {
    let next = "Link: <devices?page=1&per_page=500>; rel=\"first\"\r\n\
                Link: <devices?page=2&per_page=500>; rel=\"next\"\r\n";
    let server = Server::start(vec![
        answer("200 OK", next, &format!("[{DEVICE}]")),
        answer("200 OK", "", "[]"),
    ])
    .await;
    let client = server.deviceauth();
    let first = client
        .devices_page("t", 1, MAX_PER_PAGE, Some("accepted"))
        .await;
    let first = first.expect("a page");
    assert_eq!((first.devices.len(), first.next), (1, Some(2)));
    let last = client
        .devices_page("t", 2, MAX_PER_PAGE, Some("accepted"))
        .await;
    let last = last.expect("a page");
    assert_eq!((last.devices.len(), last.next), (0, None));
    let path = "/api/internal/v1/devauth/tenants/t/devices?page=2&per_page=500&status=accepted";
    assert!(server.asked()[1].starts_with(&format!("GET {path} HTTP/1.1\r\n")));
}

#[tokio::test]
async fn a_page_is_whole_or_an_error() {
    let server = Server::answering("200 OK", &format!("[{DEVICE},{{}}]")).await;
    let page = server.deviceauth().devices_page("", 1, 20, None).await;
    assert!(matches!(page, Err(Error::Malformed { .. })), "{page:?}");
}
