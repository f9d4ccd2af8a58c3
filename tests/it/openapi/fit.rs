//! Whether an exchange fits the description.

use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    description::{Answer, Description, Operation, validator},
    exchange::{Exchange, Reply},
};

const VERSION: &str = "2021-04-12";
/// Headers that mean something to the service and so must be described where they are sent.
const TOLD: [&str; 4] = [
    "if-match",
    "if-none-match",
    "x-ms-continuation",
    "x-ms-max-item-count",
];

/// What does not fit.
pub(super) fn complaints(description: &Description, exchange: &Exchange) -> Vec<String> {
    let Some(operation) = find(description, exchange) else {
        return vec!["no such operation".into()];
    };
    let mut complaints = vec![];
    query(operation, exchange, &mut complaints);
    request_headers(operation, exchange, &mut complaints);
    request_body(operation, exchange, &mut complaints);
    if let Some(reply) = &exchange.reply {
        match operation.answers.get(&reply.status) {
            Some(answer) if reply.status < 300 => good(answer, reply, &mut complaints),
            described => refusal(described, reply, &mut complaints),
        }
    }
    complaints
}

/// The operation of a request; words of a path go before names.
fn find<'a>(description: &'a Description, exchange: &Exchange) -> Option<&'a Operation> {
    let fits = |operation: &&Operation| {
        let path = match exchange.path.strip_suffix('/') {
            Some(shorter) if operation.trailing_slash => shorter,
            _ => &exchange.path,
        };
        let (wanted, found) = (operation.path.split('/'), path.split('/'));
        let segment = |(wanted, found): (&str, &str)| {
            let name = wanted.starts_with('{') && !found.is_empty();
            name || percent_decode_str(found)
                .decode_utf8()
                .is_ok_and(|it| it == wanted)
        };
        operation.method == exchange.method
            && wanted.clone().count() == found.clone().count()
            && wanted.zip(found).all(segment)
    };
    let names = |operation: &&Operation| operation.path.matches('{').count();
    description.operations.iter().filter(fits).min_by_key(names)
}

fn query(operation: &Operation, exchange: &Exchange, complaints: &mut Vec<String>) {
    let pairs = exchange.query.split('&').filter(|it| !it.is_empty());
    let mut version = None;
    for (name, value) in pairs.map(|it| it.split_once('=').unwrap_or((it, ""))) {
        match operation.query.get(name) {
            _ if name == "api-version" => version = Some(value),
            None => complaints.push(format!("query parameter {name} is not described")),
            Some(true) if value.parse::<i64>().is_err() => {
                complaints.push(format!("query parameter {name} is no number"));
            }
            Some(_) => {}
        }
    }
    if version != Some(VERSION) {
        complaints.push(format!("api-version is {version:?}"));
    }
}

fn request_headers(operation: &Operation, exchange: &Exchange, complaints: &mut Vec<String>) {
    let header = |name: &str| exchange.headers.get(name).map(String::as_str);
    if !matches!(
        header("authorization"),
        Some("SharedAccessSignature" | "Bearer")
    ) {
        complaints.push("no credential".into());
    }
    let sent = TOLD.iter().filter(|name| header(name).is_some());
    for name in sent.filter(|name| !operation.headers.iter().any(|it| it == *name)) {
        complaints.push(format!("header {name} is not described"));
    }
    if header("if-match").is_some_and(|it| !is_etag(it)) {
        complaints.push("if-match is no quoted etag".into());
    }
}

/// Quoted, or the star in either spelling.
fn is_etag(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    text == "*" || inner.is_some_and(|it| !it.contains('"'))
}

fn request_body(operation: &Operation, exchange: &Exchange, complaints: &mut Vec<String>) {
    let body = exchange.body.as_deref().unwrap_or_default();
    match (&operation.body, body) {
        (None, "") => {}
        (None, _) => complaints.push("a body that is not described".into()),
        (Some(_), "") => complaints.push("no body".into()),
        (Some(schema), body) => {
            says_json(
                exchange.headers.get("content-type"),
                "the request",
                complaints,
            );
            fits(schema, body, "the request", complaints);
        }
    }
}

fn good(answer: &Answer, reply: &Reply, complaints: &mut Vec<String>) {
    for name in answer
        .headers
        .iter()
        .filter(|it| *it != "x-ms-continuation")
    {
        if !reply.headers.contains_key(name) {
            complaints.push(format!("the answer lacks {name}"));
        }
    }
    let kind = reply.headers.get("x-ms-item-type");
    let rows = kind.and_then(|it| answer.rows.get(it));
    match (rows.or(answer.body.as_ref()), reply.body.as_str()) {
        (None, "") => {}
        (None, _) => complaints.push("an answer with a body".into()),
        (Some(schema), body) => {
            says_json(reply.headers.get("content-type"), "the answer", complaints);
            fits(schema, body, "the answer", complaints);
        }
    }
}

/// Refusals are not in the description, but for that of a bulk call; these are the two styles the
/// service was recorded with.
fn refusal(described: Option<&Answer>, reply: &Reply, complaints: &mut Vec<String>) {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    if let Some(schema) = described.and_then(|it| it.body.as_ref())
        && schema.is_valid(&body)
    {
        return;
    }
    if reply.status < 400 {
        complaints.push(format!("status {} is not described", reply.status));
        return;
    }
    if !reply.headers.contains_key("iothub-errorcode") {
        complaints.push(format!("a {} without iothub-errorcode", reply.status));
    }
    match validator(&styles()) {
        Ok(styles) if styles.is_valid(&body) => {}
        _ => complaints.push(format!("a {} of neither style: {body}", reply.status)),
    }
}

fn styles() -> Value {
    let (text, number) = (json!({"type": "string"}), json!({"type": "integer"}));
    let older = json!({
        "type": "object",
        "required": ["Message", "ExceptionMessage"],
        "properties": {"Message": text, "ExceptionMessage": text},
        "additionalProperties": false,
    });
    let newer = json!({
        "type": "object",
        "required": ["errorCode", "message", "trackingId", "timestampUtc"],
        "properties": {
            "errorCode": number, "message": text, "trackingId": text, "timestampUtc": text,
            "info": {},
        },
        "additionalProperties": false,
    });
    json!({"anyOf": [older, newer]})
}

fn says_json(kind: Option<&String>, whose: &str, complaints: &mut Vec<String>) {
    let kind = kind.map(String::as_str).unwrap_or_default();
    if kind.split(';').next() != Some("application/json") {
        complaints.push(format!("{whose} says it is {kind:?}"));
    }
}

fn fits(schema: &Validator, body: &str, whose: &str, complaints: &mut Vec<String>) {
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        complaints.push(format!("{whose} is no JSON"));
        return;
    };
    for error in schema.iter_errors(&body) {
        let at = error.instance_path().as_str();
        complaints.push(format!("{whose}, at {at:?}: {}", error.masked()));
    }
}
