//! Holds `schemas/asyncapi.json` to the code: every subject we know is there, as we make it, with
//! the schemas that the code goes by.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jetstream::Names;
use lifecycle::{DeviceRef, EventId};
use messages::header;
use messages::twin::ErrorCode;
use serde_json::{Value, json};
use twin::Endpoint;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> Value {
    let path = root().join(path);
    let text = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn document() -> Value {
    read("schemas/asyncapi.json")
}

/// The addresses of all channels, each parameter as `{name}`.
fn addresses() -> BTreeSet<String> {
    let document = document();
    let channels = document["channels"].as_object().unwrap();
    channels
        .values()
        .filter_map(|channel| channel["address"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn it_is_a_valid_asyncapi_document() {
    let schema = read("tests/data/asyncapi-3.0.0.schema.json");
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&document())
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut wrong = document();
    wrong["channels"]["events"]["adress"] = json!("x");
    assert!(!validator.is_valid(&wrong), "the schema checks nothing");
}

#[test]
fn every_subject_that_we_make_has_its_channel_and_there_are_no_others() {
    let names = Names::default();
    let about = DeviceRef {
        tenant: "TENANT".parse().unwrap(),
        device: "DEVICE".parse().unwrap(),
    };
    let (tenant, device) = (Some("TENANT"), Some("DEVICE"));
    let event = EventId("EVENT".to_owned());
    let retry = names.retry_subject(&about);
    let mut ours: BTreeSet<_> = [
        names.event_subject(&about),
        names.dead_letter_subject(tenant, device, &event),
        names.outcome_subject(tenant, device),
        names.audit_subject("TENANT", device),
        names.worker_status_subject(),
        names.replay_subject(),
        format!("{retry}.MESSAGE"),
        retry,
        names.source_filter().replace('>', "{rest}"),
    ]
    .map(|subject| {
        subject
            .replace("TENANT", "{tenant}")
            .replace("DEVICE", "{device}")
            .replace("EVENT", "{event_id}")
            .replace("MESSAGE", "{message}")
    })
    .into();
    let module = "MODULE".parse().unwrap();
    for endpoint in Endpoint::all() {
        let verb = endpoint.verb.as_str();
        let device = endpoint.verb.of_device().then_some(&about.device);
        let module = endpoint.module.then_some(&module);
        let subject = names.twin_subject(verb, &about.tenant, device, module);
        let heard = endpoint.subject(names.prefix());
        assert_eq!(wild(&subject), heard, "what is asked is what is heard");
        ours.insert(named(&subject));
    }
    assert_eq!(addresses(), ours);
}

fn named(subject: &str) -> String {
    let named = subject
        .replace("TENANT", "{tenant}")
        .replace("DEVICE", "{device}");
    named.replace("MODULE", "{module}")
}

fn wild(subject: &str) -> String {
    let wild = subject.replace("TENANT", "*").replace("DEVICE", "*");
    wild.replace("MODULE", "*")
}

#[test]
fn every_parameter_of_an_address_is_described() {
    let document = document();
    for (name, channel) in document["channels"].as_object().unwrap() {
        let address = channel["address"].as_str().unwrap_or_default();
        let used: BTreeSet<_> = address
            .split('.')
            .filter_map(|token| token.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let described = channel["parameters"].as_object();
        let described: BTreeSet<_> = described
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(used, described, "{name}");
    }
}

/// Follows a reference within the document or into a schema beside it.
fn resolve(document: &Value, reference: &str) -> Option<Value> {
    let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
    if file.is_empty() {
        return document.pointer(pointer).cloned();
    }
    let text = fs::read(root().join("schemas").join(file)).ok()?;
    let schema: Value = serde_json::from_slice(&text).ok()?;
    schema.pointer(pointer).cloned()
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(resolve(&document, reference).is_some(), "{reference}");
    }
    for entry in fs::read_dir(root().join("schemas")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".schema.json") {
            let used = found.iter().any(|reference| reference.starts_with(&name));
            assert!(used, "no message has {name}");
        }
    }
}

#[test]
fn requests_and_replies_of_the_twin_service_have_the_schemas_that_it_announces() {
    let document = document();
    let payload = |reference: &Value| {
        let message = resolve(&document, reference["$ref"].as_str()?)?;
        let message = resolve(&document, message["$ref"].as_str()?)?;
        let schema = message.pointer("/payload/schema/$ref")?.as_str()?;
        Some(schema.replace(".schema.json", ""))
    };
    for endpoint in Endpoint::all() {
        let operation = &document["operations"][format!("answer-{}", endpoint.name())];
        let (request, reply) = endpoint.schemas();
        let asked = payload(&operation["messages"][0]);
        assert_eq!(asked.as_deref(), Some(request), "{}", endpoint.name());
        let answered = payload(&operation["reply"]["messages"][0]);
        assert_eq!(answered.as_deref(), Some(reply), "{}", endpoint.name());
        let summary = operation["summary"].as_str().unwrap();
        let permission = if endpoint.verb.edits() {
            "edit"
        } else {
            "read"
        };
        assert!(
            summary.contains(&format!("Needs {permission} permission")),
            "{summary}"
        );
        assert_eq!(
            operation["bindings"]["nats"]["queue"],
            json!(twin::QUEUE_GROUP)
        );
    }
}

#[test]
fn failures_have_the_numbers_and_headers_of_the_code() {
    let document = document();
    let headers = &document["components"]["messages"]["failure"]["headers"]["properties"];
    let codes = ErrorCode::ALL.map(|code| code.number().to_string());
    assert_eq!(headers[header::SERVICE_ERROR_CODE]["enum"], json!(codes));
    assert!(headers[header::ETAG].is_object());
    let asked = &document["components"]["messages"]["twinGet"]["headers"]["properties"];
    assert!(asked[header::TIMEOUT_MS].is_object());
}
