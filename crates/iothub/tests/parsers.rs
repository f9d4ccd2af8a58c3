//! Whatever a server sends, reading it does not panic, and showing it shows no key.

use http::{HeaderMap, HeaderValue, StatusCode};
use iothub::{
    AllowedHosts, BulkItem, BulkOutcome, Configuration, ConnectionString, Continuation, DeviceId,
    DeviceStatistics, DigitalTwin, Error, HostName, Identity, Job, JobId, MethodAnswer, Module,
    ModuleId, QueryTest, Thumbprint, Transfer, Twin,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Names that mean something to one reader or another.
const NAMES: [&str; 24] = [
    "deviceId",
    "moduleId",
    "id",
    "jobId",
    "$dtId",
    "etag",
    "status",
    "statusReason",
    "type",
    "connectionState",
    "capabilities",
    "iotEdge",
    "deviceScope",
    "parentScopes",
    "properties",
    "desired",
    "tags",
    "systemMetrics",
    "results",
    "isSuccessful",
    "errors",
    "errorCode",
    "Message",
    "startTimeUtc",
];

/// JSON made of those names and of values of every kind.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "(dev-1|enabled|Connected|unknown|0001-01-01T00:00:00|404001)".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 8, |inner| {
        let name = prop_oneof![
            proptest::sample::select(&NAMES[..]).prop_map(str::to_owned),
            ".{0,4}"
        ];
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((name, inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Reads bytes as everything there is, and uses what was read.
fn read_all(bytes: &[u8]) {
    if let Ok(mut identity) = Identity::from_json(bytes) {
        let gateway = identity.clone();
        let _ = (
            identity.status(),
            identity.is_connected(),
            identity.primary_key(),
        );
        let _ = identity.set_parent(&gateway);
        identity.clear_parent();
        identity.set_edge(!gateway.is_edge());
        let _ = (gateway.parent_scopes().count(), format!("{identity:?}"));
        let _ = BulkItem::update(&identity);
    }
    if let Ok(module) = Module::from_json(bytes) {
        let _ = (
            module.is_connected(),
            module.secondary_key(),
            format!("{module:?}"),
        );
        let _ = BulkItem::update_module(&module);
    }
    read_rest(bytes);
}

/// The same for everything without keys.
fn read_rest(bytes: &[u8]) {
    if let Ok(twin) = Twin::from_json(bytes) {
        let _ = twin.without_metadata().desired();
    }
    if let Ok(job) = Job::from_json(bytes) {
        let _ = (
            job.status(),
            job.statistics(),
            job.start_time(),
            job.end_time(),
        );
    }
    if let Ok(transfer) = Transfer::from_json(bytes) {
        let _ = (
            transfer.status(),
            transfer.start_time(),
            format!("{transfer:?}"),
        );
    }
    if let Ok(configuration) = Configuration::from_json(bytes) {
        let _ = (configuration.system_results(), configuration.created_time());
    }
    if let Ok(twin) = DigitalTwin::from_json(bytes, None) {
        let _ = twin.model_id();
    }
    let _ = (MethodAnswer::from_json(bytes), QueryTest::from_json(bytes));
    let _ = DeviceStatistics::from_json(bytes);
    let items = [BulkItem::delete_any_version(&"dev-1".parse().unwrap())];
    let _ = BulkOutcome::from_json(&items, bytes);
}

proptest! {
    #[test]
    fn any_bytes_can_be_read(bytes in any::<Vec<u8>>()) {
        read_all(&bytes);
    }

    #[test]
    fn any_json_can_be_read(json in json()) {
        read_all(json.to_string().as_bytes());
    }

    #[test]
    fn any_refusal_can_be_read(
        status in 100u16..1000, json in json(), code in ".{0,40}", bytes in any::<Vec<u8>>(),
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let mut headers = HeaderMap::new();
        for name in ["iothub-errorcode", "retry-after", "date", "x-ms-request-id"] {
            if let Ok(value) = HeaderValue::from_str(&code) {
                headers.insert(name, value);
            }
        }
        let nested = serde_json::json!({"Message": json.to_string()}).to_string();
        for body in [json.to_string().as_bytes(), nested.as_bytes(), &bytes] {
            let error = Error::from_answer(status, &headers, body);
            prop_assert!(error.to_string().len() < 400);
        }
    }

    #[test]
    fn any_text_can_be_an_id_or_not(text in ".{0,140}") {
        let _ = (text.parse::<DeviceId>(), text.parse::<ModuleId>(), text.parse::<JobId>());
        let _ = (text.parse::<HostName>(), text.parse::<ConnectionString>());
        let _ = (text.parse::<Thumbprint>(), AllowedHosts::new([&text]));
        let _ = (Continuation::from_bytes(text.as_bytes()), iothub::time::parse(&text));
    }

    #[test]
    fn no_key_of_an_identity_is_shown(json in json()) {
        let mut fields = serde_json::json!({"deviceId": "d", "moduleId": "m", "id": json});
        fields["authentication"] = serde_json::json!({"x": ["sesame", {"sesame": "sesame"}]});
        let text = fields.to_string();
        let identity = Identity::from_json(text.as_bytes()).unwrap();
        let module = Module::from_json(text.as_bytes()).unwrap();
        let shown = format!("{identity:?} {module:?}");
        prop_assert!(!shown.contains("sesame"));
    }
}
