//! The hub client's readers: connection strings of operators, and whatever a hub may answer.

use http::{HeaderMap, HeaderValue, StatusCode};
use iothub::{
    AllowedHosts, BulkItem, BulkOutcome, Configuration, ConnectionString, Continuation, DeviceId,
    DeviceStatistics, DigitalTwin, Error, HostName, Identity, Job, JobId, MethodAnswer, Module,
    ModuleId, QueryTest, Thumbprint, Transfer, Twin,
};

use crate::text;

/// Longest text of an error: it ends up in logs and records.
const MAX_ERROR: usize = 400;

/// A connection string, read and shown: its key must not be in what is shown.
pub(crate) fn connection_string(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    match text.parse::<ConnectionString>() {
        Ok(parsed) => {
            let key = parsed.key().expose();
            let shown = format!("{parsed:?}");
            // A name may be spelt like the key; then seeing it tells nothing.
            let rest = text.replacen(key, "", 1);
            assert!(!shown.contains(key) || rest.contains(key), "a key is shown");
            let _ = parsed.credential();
        }
        Err(error) => assert!(error.to_string().len() < MAX_ERROR),
    }
    let _ = AllowedHosts::new([text]);
    let _ = text.parse::<Thumbprint>();
    let _ = (
        text.parse::<DeviceId>(),
        text.parse::<ModuleId>(),
        text.parse::<JobId>(),
    );
    if let Ok(host) = text.parse::<HostName>() {
        let domains = [
            ".azure-devices.net",
            ".azure-devices.us",
            ".azure-devices.cn",
        ];
        assert!(
            domains.iter().any(|domain| host.as_str().ends_with(domain)),
            "a host beyond the allow-list"
        );
    }
}

/// A refusal: two bytes of status, a header, a body.
pub(crate) fn error_body(bytes: &[u8]) {
    let [high, low, rest @ ..] = bytes else {
        return;
    };
    let number = 100 + u16::from_be_bytes([*high, *low]) % 500;
    let Ok(status) = StatusCode::from_u16(number) else {
        return;
    };
    let (header, body) = match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (&[][..], rest),
    };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(header) {
        for name in ["iothub-errorcode", "retry-after", "date", "x-ms-request-id"] {
            headers.insert(name, value.clone());
        }
    }
    let error = Error::from_answer(status, &headers, body);
    assert!(error.to_string().len() < MAX_ERROR, "a text without bound");
    let _ = (error.kind(), error.effect(), format!("{error:?}"));
}

/// The body of a good answer, read as everything there is.
pub(crate) fn answer(bytes: &[u8]) {
    if let Ok(mut identity) = Identity::from_json(bytes) {
        let gateway = identity.clone();
        let _ = identity.set_parent(&gateway);
        identity.clear_parent();
        identity.set_edge(!gateway.is_edge());
        let _ = (
            identity.status(),
            identity.primary_key(),
            format!("{identity:?}"),
        );
        let _ = BulkItem::update(&identity);
    }
    if let Ok(module) = Module::from_json(bytes) {
        let _ = (module.secondary_key(), format!("{module:?}"));
        let _ = BulkItem::update_module(&module);
    }
    if let Ok(twin) = Twin::from_json(bytes) {
        let _ = twin.without_metadata().desired();
    }
    other_answer(bytes);
}

/// The same for everything without keys.
fn other_answer(bytes: &[u8]) {
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
    let _ = (
        DeviceStatistics::from_json(bytes),
        Continuation::from_bytes(bytes),
    );
    if let Ok(device) = "dev-1".parse::<DeviceId>() {
        let _ = BulkOutcome::from_json(&[BulkItem::delete_any_version(&device)], bytes);
    }
}
