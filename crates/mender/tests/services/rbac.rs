//! useradm and inventory: what counts as a yes, and that everything else does not.

use crate::support::{Play, Server, answer};
use mender::{Error, Judged};

const URI: &str = "/api/management/v1/iot-manager/devices/d/state";

async fn judged(play: Play) -> Result<Judged, Error> {
    let server = Server::start(vec![play]).await;
    server.useradm().verify("to.k.en", "GET", URI).await
}

#[tokio::test]
async fn useradm_is_asked_as_the_gateway_asks() {
    let server = Server::answering("200 OK", "").await;
    let allowed = server.useradm().verify("to.k.en", "PUT", URI).await;
    assert_eq!(allowed, Ok(Judged::Allowed));
    let asked = server.asked()[0].to_ascii_lowercase();
    assert!(asked.starts_with("get /api/internal/v1/useradm/auth/verify http/1.1\r\n"));
    for line in [
        "authorization: bearer to.k.en".to_owned(),
        "x-forwarded-method: put".to_owned(),
        format!("x-forwarded-uri: {URI}"),
    ] {
        assert!(asked.contains(&format!("{line}\r\n")), "{line} in {asked}");
    }
}

#[tokio::test]
async fn only_a_200_is_a_yes() {
    let no = |status| judged(answer(status, "", r#"{"error":"no"}"#));
    assert_eq!(no("401 Unauthorized").await, Ok(Judged::Unauthenticated));
    assert_eq!(no("403 Forbidden").await, Ok(Judged::Forbidden));
    for doubt in [
        "204 No Content",
        "302 Found",
        "400 Bad Request",
        "404 Not Found",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "503 Service Unavailable",
    ] {
        assert!(no(doubt).await.is_err(), "{doubt}");
    }
    assert!(judged(Play::HangUp).await.is_err());
    assert!(judged(Play::Silence).await.is_err());
}

#[tokio::test]
async fn a_yes_may_be_limited_to_groups() {
    let limited = answer("200 OK", "X-MEN-RBAC-Inventory-Groups: a,b c\r\n", "");
    let groups = ["a", "b c"].map(str::to_owned).to_vec();
    assert_eq!(judged(limited).await, Ok(Judged::Within(groups)));
}

#[tokio::test]
async fn a_device_is_in_the_groups_that_inventory_names() {
    let groups = async |status, body| {
        let server = Server::answering(status, body).await;
        let found = server.inventory().groups("", "d").await;
        let path = "/api/internal/v1/inventory/tenants//devices/d/groups";
        assert!(server.asked()[0].starts_with(&format!("GET {path} HTTP/1.1\r\n")));
        found
    };
    let one = vec!["a".to_owned()];
    assert_eq!(groups("200 OK", r#"{"groups":["a"]}"#).await, Ok(one));
    assert_eq!(groups("200 OK", r#"{"groups":null}"#).await, Ok(vec![]));
    assert_eq!(groups("200 OK", "{}").await, Ok(vec![]));
    let nobody = r#"{"error":"Device not found"}"#;
    assert_eq!(groups("404 Not Found", nobody).await, Ok(vec![]));
    for (status, body) in [
        ("200 OK", "[]"),
        ("200 OK", "<html>"),
        ("404 Not Found", "<html>"),
        ("500 Internal Server Error", ""),
    ] {
        assert!(groups(status, body).await.is_err(), "{status} {body}");
    }
}
