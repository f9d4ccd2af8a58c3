//! The OpenAPI document says what the service does.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::Method;
use serde_json::Value;

use crate::Offered;
use crate::route::{Found, find};
use crate::testing::{Answer, INTERNAL, MANAGEMENT};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../../../schemas/iot-manager.openapi.json");
    serde_json::from_str(text).unwrap()
});

/// Operations by their ids, each with method and path.
fn operations() -> BTreeMap<&'static str, (String, &'static str, &'static Value)> {
    let mut found = BTreeMap::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            found.insert(id, (method.to_uppercase(), path.as_str(), operation));
        }
    }
    found
}

/// The document's name of an endpoint.
fn id(found: &Found) -> Option<String> {
    let Found::Endpoint(endpoint, _) = found else {
        return None;
    };
    let name = format!("{endpoint:?}");
    Some(format!("{}{}", name[..1].to_lowercase(), &name[1..]))
}

/// Every answer in these tests has a status that the document names for the request.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let both = Offered {
        internal: true,
        management: true,
    };
    let Some(id) = id(&find(both, method, path)) else {
        return;
    };
    let operations = operations();
    let (.., operation) = &operations[id.as_str()];
    let status = answer.status.as_str();
    // What only a mistake of ours would bring about is in no document.
    let described = status == "500" || operation["responses"].get(status).is_some();
    assert!(described, "{id} answers {status}: {}", answer.body);
}

#[test]
fn every_call_is_in_the_document_and_no_other() {
    let mut seen = 0;
    for (id, (method, path, _)) in operations() {
        let path: String = path.replace("{status}", "noauth");
        let path = path.replace(['{', '}'], "x");
        let method: Method = method.parse().unwrap();
        let both = Offered {
            internal: path.starts_with(INTERNAL),
            management: path.starts_with(MANAGEMENT),
        };
        assert_eq!(
            self::id(&find(both, &method, &path)).as_deref(),
            Some(id),
            "{path}"
        );
        seen += 1;
    }
    assert_eq!(seen, crate::route::COUNT);
}
