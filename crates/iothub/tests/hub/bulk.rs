//! Bulk calls: when a 400 is a result and when it is not.

use iothub::{BulkItem, ItemOutcome, Kind};

use crate::server::{Server, answer, id, ok};

fn items() -> [BulkItem; 2] {
    ["dev-1", "dev-2"].map(|id| BulkItem::delete(&id.parse().unwrap(), "MQ==").unwrap())
}

#[tokio::test]
async fn a_400_with_a_result_is_a_result() {
    let body = r#"{"isSuccessful":false,"errors":[{"deviceId":"dev-2","errorCode":412001,"errorStatus":"x"}],"warnings":[]}"#;
    let server = Server::with([answer("400 Bad Request", "", body)]).await;
    let outcome = server.hub().bulk(&items()).await.unwrap();
    assert!(outcome.items()[0].is_applied());
    let ItemOutcome::Failed(error) = &outcome.items()[1] else {
        panic!("{outcome:?}");
    };
    assert_eq!(error.kind(), Kind::PreconditionFailed);
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(seen.line(), "POST /devices?api-version=2021-04-12 HTTP/1.1");
    assert!(seen.body.starts_with('['), "{}", seen.body);
}

#[tokio::test]
async fn a_400_without_a_result_is_a_wrong_call() {
    let body = r#"{"Message":"ErrorCode:DeviceDefinedMultipleTimes;x"}"#;
    let server = Server::with([answer("400 Bad Request", "", body)]).await;
    let error = server.hub().bulk(&items()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.name()),
        (Kind::Invalid, Some("DeviceDefinedMultipleTimes"))
    );
}

#[tokio::test]
async fn a_success_that_says_nothing_is_not_believed() {
    let server = Server::with([ok("{}")]).await;
    let error = server.hub().bulk(&items()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
}

#[tokio::test]
async fn any_other_call_takes_a_400_for_a_refusal() {
    let body = r#"{"isSuccessful":false,"deviceId":"dev-1"}"#;
    let server = Server::with([answer("400 Bad Request", "", body)]).await;
    let error = server.hub().twin(&id()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}
