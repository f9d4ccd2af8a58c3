//! The judge itself.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    departures::{Departure, Place, departures},
    description::{Description, Operation, definitions, validator},
    judge,
};

const DEVICE: &str = r#"{"deviceId":"d","status":"enabled"}"#;

/// An exchange about a device, with this change to it.
fn judged(change: impl FnOnce(&mut Value)) -> Result<()> {
    let mut exchange = json!({
        "seq": 2,
        "method": "PUT",
        "path": "/devices/d%3A1",
        "query": "api-version=2021-04-12",
        "headers": {"authorization": "SharedAccessSignature", "content-type": "application/json"},
        "body": DEVICE,
        "reply": {
            "status": 200,
            "headers": {"content-type": "application/json; charset=utf-8"},
            "body": DEVICE,
        },
    });
    change(&mut exchange);
    judge(&exchange.to_string(), 1)
}

#[track_caller]
fn refused(words: &str, change: impl FnOnce(&mut Value)) {
    let error = judged(change).expect_err("it fits").to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn what_is_described_fits() -> Result<()> {
    judged(|_| {})?;
    judged(|it| it["headers"]["if-match"] = "\"MQ==\"".into())?;
    judged(|it| it["reply"] = Value::Null)?;
    judged(|it| {
        it["reply"]["status"] = 404.into();
        it["reply"]["headers"]["iothub-errorcode"] = "DeviceNotFound".into();
        it["reply"]["body"] = r#"{"Message":"m","ExceptionMessage":"e"}"#.into();
    })
}

#[test]
fn requests_are_held_against_path_query_headers_and_body() {
    refused("no such operation", |it| it["path"] = "/device/d".into());
    refused("no such operation", |it| it["method"] = "PATCH".into());
    refused("no such operation", |it| it["path"] = "/devices/d/".into());
    refused("api-version", |it| it["query"] = "".into());
    refused("parameter top", |it| it["query"] = "top=1".into());
    refused("no credential", |it| {
        it["headers"]["authorization"] = "Basic".into();
    });
    refused("no quoted etag", |it| {
        it["headers"]["if-match"] = "MQ==".into();
    });
    refused("x-ms-continuation", |it| {
        it["headers"]["x-ms-continuation"] = "c".into();
    });
    refused("says it is", |it| {
        it["headers"]["content-type"] = "text/plain".into();
    });
    refused("no body", |it| it["body"] = "".into());
    refused("news", |it| it["body"] = r#"{"news":1}"#.into());
    refused("/status", |it| it["body"] = r#"{"status":"on"}"#.into());
}

#[test]
fn answers_are_held_against_status_headers_and_body() {
    refused("201", |it| it["reply"]["status"] = 201.into());
    refused("says it is", |it| it["reply"]["headers"] = json!({}));
    refused("no JSON", |it| it["reply"]["body"] = "".into());
    refused("/etag", |it| it["reply"]["body"] = r#"{"etag":1}"#.into());
    refused("neither style", |it| it["reply"]["status"] = 404.into());
    refused("lastActivityTime", |it| {
        it["reply"]["body"] = r#"{"lastActivityTime":"2026-01-01T00:00:00"}"#.into();
    });
    refused("lacks etag", |it| {
        it["method"] = "GET".into();
        it["path"] = "/digitaltwins/d".into();
        it["body"] = "".into();
    });
}

#[test]
fn rows_that_are_no_twins_may_be_anything_and_twins_may_not() {
    let query = |kind: &'static str| {
        move |it: &mut Value| {
            it["method"] = "POST".into();
            it["path"] = "/devices/query".into();
            it["body"] = r#"{"query":"q"}"#.into();
            it["reply"]["headers"]["x-ms-item-type"] = kind.into();
            it["reply"]["headers"]["x-ms-continuation"] = "c".into();
            it["reply"]["body"] = r#"[{"total":1}]"#.into();
        }
    };
    assert!(judged(query("Raw")).is_ok());
    refused("total", query("Twin"));
}

#[test]
fn a_scenario_without_exchanges_shows_nothing() {
    assert!(judge("", 0).is_err());
    assert!(judged(|it| it["seq"] = 1.into()).is_err());
}

#[test]
fn every_departure_lets_something_pass_that_is_not_described() -> Result<()> {
    for departure in departures()? {
        let what = format!("{:?}", departure.at);
        ensure!(departure.source.len() > 20, "{what}: who says so?");
        let passes = |departures: &[Departure]| match &departure.at {
            Place::Property(place) => property_passes(place, &departure.example, departures),
            Place::Format(_) => {
                let place = "Device.lastActivityTime";
                property_passes(place, &departure.example, departures)
            }
            Place::Answer(operation) => answer_passes(operation, &departure, departures),
            // With these there is nothing to pass; it is enough that the operation is described.
            Place::RequestHeader(place) | Place::TrailingSlash(place) => {
                let name = place.split(' ').next().unwrap_or_default();
                operation(name, &[])?;
                Ok(!departures.is_empty())
            }
        };
        ensure!(!passes(&[])?, "{what} is described");
        let mine = std::slice::from_ref(&departure);
        ensure!(passes(mine)?, "{what} lets nothing pass");
    }
    Ok(())
}

fn property_passes(place: &str, value: &Value, departures: &[Departure]) -> Result<bool> {
    let file = serde_json::from_str(include_str!("../../data/iothub.openapi.json"))?;
    let (of, property) = place.split_once('.').context("a property")?;
    let reference = format!("#/definitions/{of}");
    let definitions = definitions(&file, departures)?;
    let schema = json!({"$ref": reference, "definitions": definitions});
    Ok(validator(&schema)?.is_valid(&json!({property: value})))
}

fn answer_passes(name: &str, departure: &Departure, departures: &[Departure]) -> Result<bool> {
    let operation = operation(name, departures)?;
    let good = operation.answers.get(&200).context("a good answer")?;
    let kind = departure.for_rows.first();
    let rows = kind.and_then(|kind| good.rows.get(kind));
    let schema = rows.or(good.body.as_ref()).context("a body")?;
    Ok(schema.is_valid(&departure.example))
}

fn operation(name: &str, departures: &[Departure]) -> Result<Operation> {
    let all = Description::new(departures)?.operations;
    let found = all.into_iter().find(|it| it.name == name);
    found.with_context(|| format!("no operation {name}"))
}
