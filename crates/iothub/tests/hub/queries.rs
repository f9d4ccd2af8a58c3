//! Queries over several pages.

use futures::TryStreamExt as _;
use iothub::{ItemType, Kind, Query, Twin};

use crate::server::{Reply, Server, answer};

fn page(kind: &str, continuation: &str, body: &str) -> Reply {
    let next = match continuation {
        "" => String::new(),
        text => format!("x-ms-continuation: {text}\r\n"),
    };
    answer("200 OK", &format!("x-ms-item-type: {kind}\r\n{next}"), body)
}

fn query() -> Query {
    Query::new("SELECT deviceId FROM devices")
        .unwrap()
        .page_size(2)
        .unwrap()
}

#[tokio::test]
async fn rows_come_from_all_pages_also_after_an_empty_one() {
    let server = Server::with([
        page("Raw", "t1", r#"[{"n":1},{"n":2}]"#),
        page("Raw", "t2", "[]"),
        page("Raw", "", r#"[{"n":3}]"#),
    ])
    .await;
    let rows: Vec<_> = server.hub().query(query()).try_collect().await.unwrap();
    let numbers: Vec<_> = rows.iter().map(|row| row.fields["n"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    assert!(rows.iter().all(|row| row.item_type == ItemType::Raw));

    let seen = server.seen();
    let sent: Vec<_> = seen
        .iter()
        .map(|seen| seen.header("x-ms-continuation"))
        .collect();
    assert_eq!(sent, [None, Some("t1"), Some("t2")]);
    for request in &seen {
        assert_eq!(request.header("x-ms-max-item-count"), Some("2"));
        assert_eq!(request.body, r#"{"query":"SELECT deviceId FROM devices"}"#);
    }
}

#[tokio::test]
async fn a_page_is_fetched_when_its_rows_are_needed() {
    let server = Server::with([page("Raw", "t1", r#"[{"n":1},{"n":2}]"#)]).await;
    let mut rows = std::pin::pin!(server.hub().query(query()));
    rows.try_next().await.unwrap().unwrap();
    rows.try_next().await.unwrap().unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn twins_come_as_twins_and_other_rows_do_not() {
    let twin = r#"[{"deviceId":"dev-1","etag":"AAE=","properties":{}}]"#;
    let server = Server::with([page("Twin", "", twin), page("Raw", "", twin)]).await;
    let hub = server.hub();
    let twins: Vec<Twin> = hub.query_twins(query()).try_collect().await.unwrap();
    assert_eq!(twins[0].etag(), Some("AAE="));
    let error = hub
        .query_twins(query())
        .try_collect::<Vec<_>>()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
}

#[tokio::test]
async fn a_query_that_stands_still_ends() {
    let server = Server::with([page("Raw", "t1", "[]"), page("Raw", "t1", "[]")]).await;
    let rows = server.hub().query(query()).try_collect::<Vec<_>>().await;
    assert_eq!(rows.unwrap_err().kind(), Kind::Malformed);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn an_error_in_the_middle_ends_the_stream() {
    let server = Server::with([
        page("Raw", "t1", r#"[{"n":1}]"#),
        answer("429 Too Many Requests", "", ""),
    ])
    .await;
    let mut rows = std::pin::pin!(server.hub().query(query()));
    assert!(rows.try_next().await.unwrap().is_some());
    let error = rows.try_next().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Throttled { retry_after: None });
    assert!(rows.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_page_can_be_asked_for_alone() {
    let server = Server::with([page("Twin", "t1", "[]"), page("Twin", "", "[]")]).await;
    let hub = server.hub();
    let first = hub.query_page(&query(), None).await.unwrap();
    let next = first.continuation.unwrap();
    let last = hub.query_page(&query(), Some(&next)).await.unwrap();
    assert_eq!((last.item_type, last.continuation), (ItemType::Twin, None));
}

#[test]
fn what_the_hub_would_not_take_is_refused_here() {
    assert!(Query::new(" ").is_err());
    assert!(Query::new("x".repeat(8193)).is_err());
    assert!(Query::new("ä".repeat(8192)).is_ok());
    assert!(query().page_size(0).is_err() && query().page_size(1001).is_err());
}
