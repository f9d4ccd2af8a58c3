//! What connection strings are taken, what is refused, and that no refusal repeats a key.

use proptest::prelude::*;

use super::*;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn parse(text: &str) -> Result<ConnectionString, ConnectionStringError> {
    text.replace("KEY", KEY).parse()
}

#[track_caller]
fn refused(text: &str, why: impl Into<ConnectionStringError>) {
    assert_eq!(parse(text).unwrap_err(), why.into());
}

#[test]
fn a_policy_string_gives_a_credential() {
    let parsed =
        parse("HostName=h.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=KEY")
            .unwrap();
    assert_eq!(parsed.host(), "h.azure-devices.net");
    assert_eq!(parsed.owner(), &KeyOwner::Policy("iothubowner".into()));
    assert_eq!(parsed.key().expose(), KEY);
    assert!(parsed.credential().is_ok());
}

#[test]
fn the_order_is_free_and_an_empty_last_part_is_tolerated() {
    let parsed = parse("SharedAccessKey=KEY;SharedAccessKeyName=p;HostName=h;").unwrap();
    assert_eq!(parsed.host(), "h");
    refused(
        "HostName=h;;SharedAccessKeyName=p;SharedAccessKey=KEY",
        ConnectionStringError::Part(2),
    );
    refused(
        "HostName=h;SharedAccessKeyName=p;SharedAccessKey=KEY;;",
        ConnectionStringError::Part(4),
    );
}

#[test]
fn a_device_string_names_its_device_and_is_no_service_credential() {
    let parsed = parse("HostName=h;DeviceId=a=b;SharedAccessKey=KEY;GatewayHostName=edge").unwrap();
    assert_eq!(parsed.owner(), &KeyOwner::Device("a=b".parse().unwrap()));
    assert_eq!(parsed.gateway(), Some("edge"));
    assert_eq!(
        parsed.credential().unwrap_err(),
        ConnectionStringError::NotAPolicy
    );
    let parsed = parse("HostName=h;DeviceId=d;ModuleId=$edgeHub;SharedAccessKey=KEY").unwrap();
    assert_eq!(
        parsed.owner(),
        &KeyOwner::Module("d".parse().unwrap(), "$edgeHub".into())
    );
}

#[test]
fn names_are_matched_exactly() {
    refused(
        "hostname=h;SharedAccessKeyName=p;SharedAccessKey=KEY",
        ConnectionStringError::UnknownKey("hostname".into()),
    );
    refused(
        "HostName=h;SharedAccesKey=KEY",
        ConnectionStringError::UnknownKey("SharedAccesKey".into()),
    );
    refused(
        "HostName =h;SharedAccessKey=KEY",
        ConnectionStringError::UnknownPart(1),
    );
}

#[test]
fn a_key_in_the_place_of_a_name_is_not_shown() {
    refused(
        "HostName=h;SharedAccessKeyName=p;KEY",
        ConnectionStringError::UnknownPart(3),
    );
    refused(
        "HostName=h;AAECAwQFBgcICQoLDA0ODw==",
        ConnectionStringError::UnknownPart(2),
    );
}

#[test]
fn other_forms_are_called_unsupported() {
    refused(
        "HostName=h;DeviceId=d;x509=true",
        ConnectionStringError::Unsupported("x509"),
    );
    refused(
        "HostName=h;SharedAccessKeyName=p;SharedAccessSignature=SharedAccessSignature sr=x",
        ConnectionStringError::Unsupported("SharedAccessSignature"),
    );
}

#[test]
fn what_is_necessary_must_be_there_once() {
    refused(
        "SharedAccessKeyName=p;SharedAccessKey=KEY",
        ConnectionStringError::Missing("HostName"),
    );
    refused(
        "HostName=;SharedAccessKeyName=p;SharedAccessKey=KEY",
        ConnectionStringError::Missing("HostName"),
    );
    refused(
        "HostName=h;SharedAccessKeyName=p",
        ConnectionStringError::Missing("SharedAccessKey"),
    );
    refused(
        "HostName=h;SharedAccessKey=KEY",
        ConnectionStringError::Owner,
    );
    refused(
        "HostName=h;SharedAccessKeyName=p;DeviceId=d;SharedAccessKey=KEY",
        ConnectionStringError::Owner,
    );
    refused(
        "HostName=h;ModuleId=m;SharedAccessKey=KEY",
        ConnectionStringError::Owner,
    );
    refused(
        "HostName=h;HostName=h;SharedAccessKey=KEY",
        ConnectionStringError::Twice("HostName"),
    );
    refused("", ConnectionStringError::Part(1));
    refused(&"x".repeat(4097), ConnectionStringError::TooLong);
}

#[test]
fn keys_are_base64_of_16_bytes_or_more() {
    let with = |key: &str| {
        format!("HostName=h;DeviceId=d;SharedAccessKey={key}").parse::<ConnectionString>()
    };
    assert_eq!(with("no base64!").unwrap_err(), ConnectionStringError::Key);
    assert_eq!(
        with("AAECAwQFBgcICQoLDA0O").unwrap_err(),
        ConnectionStringError::Key
    );
    assert!(with("AAECAwQFBgcICQoLDA0ODw==").is_ok());
}

#[test]
fn device_ids_are_checked() {
    refused(
        "HostName=h;DeviceId=..;SharedAccessKey=KEY",
        InvalidDeviceId::DotSegment,
    );
    refused(
        "HostName=h;DeviceId=a/b;SharedAccessKey=KEY",
        InvalidDeviceId::Character(b'/'),
    );
}

#[test]
fn a_written_string_is_read_back() {
    let host = "h.azure-devices.net".parse().unwrap();
    let id: DeviceId = "a=b:c'(d)".parse().unwrap();
    let text = device_connection_string(&host, &id, &KEY.into()).unwrap();
    let parsed: ConnectionString = text.expose().parse().unwrap();
    assert_eq!(parsed.owner(), &KeyOwner::Device(id));
    assert_eq!(parsed.key().expose(), KEY);
}

#[test]
fn an_id_that_would_break_the_string_is_refused() {
    let host = "h.azure-devices.net".parse().unwrap();
    let id = "a;SharedAccessKey=x".parse().unwrap();
    assert_eq!(
        device_connection_string(&host, &id, &KEY.into()).unwrap_err(),
        ConnectionStringError::Uncarriable
    );
}

/// Connection strings that are nearly right: known and misspelt names, in any order, with the key
/// in any place.
fn nearly_right() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("HostName=h"),
        Just("SharedAccessKeyName=p"),
        Just("SharedAccessKey=KEY"),
        Just("sharedaccesskey=KEY"),
        Just("KEY"),
        Just("DeviceId=KEY"),
        Just("DeviceId=d"),
        Just("ModuleId=KEY"),
        Just("KEY=HostName"),
        Just("SharedAccessKey =KEY"),
        Just("x509=KEY"),
        Just("SharedAccessSignature=KEY"),
        Just("="),
        Just(""),
    ];
    proptest::collection::vec(piece, 0..7).prop_map(|pieces| pieces.join(";").replace("KEY", KEY))
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,200}") {
        let _ = text.parse::<ConnectionString>();
    }

    #[test]
    fn no_error_and_no_debug_repeats_the_key(text in nearly_right()) {
        let shown = match text.parse::<ConnectionString>() {
            Ok(parsed) => format!("{:?} {:?}", parsed.key(), parsed.credential()),
            Err(error) => format!("{error} {error:?}"),
        };
        // Not even a part of it that would help to guess the rest.
        prop_assert!(!shown.contains(&KEY[..12]), "{}", shown);
    }
}
