//! Tokens that pass and tokens that do not, with vectors computed elsewhere.

use super::*;

const HOST: &str = "myhub.azure-devices.net";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SKEW: u64 = 300;
const EXPIRY: u64 = 1_767_225_600;
/// Signed by Python's hmac and by OpenSSL, for `HOST` and `KEY`.
const VECTOR: &str = "SharedAccessSignature sr=myhub.azure-devices.net&sig=mnVOCy0ieupY1%2FH3BnSINnUcRqZRXaiw4do9WEOWXUI%3D&se=1767225600&skn=iothubowner";

fn policies() -> Policies {
    let mut policies = Policies::with_skew(SKEW);
    policies.set(
        "iothubowner",
        Policy::new([KEY], Permission::ALL.to_vec()).unwrap(),
    );
    policies
}

fn at(header: &str, unix_seconds: u64) -> Result<(), Refusal> {
    let read = Some(Permission::RegistryRead);
    policies().authorize(
        Some(header),
        &Audience::of(HOST),
        &path(),
        read,
        unix_seconds,
    )
}

fn path() -> [String; 2] {
    ["devices".to_owned(), "d1".to_owned()]
}

/// A token for an encoded `sr`, signed here.
fn token(sr: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{sr}\n{EXPIRY}").as_bytes()));
    let signature = signature.replace('+', "%2B").replace('=', "%3D");
    format!("SharedAccessSignature sig={signature}&skn=iothubowner&sr={sr}&se={EXPIRY}")
}

#[test]
fn a_token_made_by_other_software_passes() {
    assert_eq!(at(VECTOR, EXPIRY - 60), Ok(()));
}

#[test]
fn the_order_of_parameters_and_a_bare_slash_in_the_signature_do_not_matter() {
    let other = "SharedAccessSignature sig=mnVOCy0ieupY1/H3BnSINnUcRqZRXaiw4do9WEOWXUI%3D&skn=iothubowner&sr=myhub.azure-devices.net&se=1767225600";
    assert_eq!(at(other, EXPIRY - 60), Ok(()));
}

#[test]
fn the_resource_is_verified_as_it_stands_whatever_its_encoding() {
    for sr in [
        "myhub.azure-devices.net",
        "MyHub.azure-devices.net",
        "myhub.azure-devices.net%3A8443",
        "myhub.azure-devices.net%3a8443",
        "myhub.azure-devices.net:8443",
        "myhub.azure-devices.net%2Fdevices%2fd1",
        "myhub.azure-devices.net/devices",
    ] {
        assert_eq!(at(&token(sr), EXPIRY), Ok(()), "{sr}");
    }
}

#[test]
fn a_resource_reencoded_after_signing_is_refused() {
    let header = token("myhub.azure-devices.net%3A8443").replace("%3A8443", "%3a8443");
    assert_eq!(at(&header, EXPIRY), Err(Refusal::WrongSignature));
}

#[test]
fn another_hub_or_another_part_of_this_one_is_refused() {
    for sr in [
        "otherhub.azure-devices.net",
        "myhub.azure-devices.net.evil.example",
        "myhub.azure-devices.net/devices/d2",
        "myhub.azure-devices.net/dev",
        "myhub.azure-devices.net/devices/d1/modules",
    ] {
        assert_eq!(at(&token(sr), EXPIRY), Err(Refusal::WrongAudience), "{sr}");
    }
}

#[test]
fn a_token_lives_five_minutes_longer_than_it_says() {
    assert_eq!(at(VECTOR, EXPIRY + 300), Ok(()));
    assert_eq!(at(VECTOR, EXPIRY + 301), Err(Refusal::Expired));
}

#[test]
fn malformed_tokens_are_refused() {
    for header in [
        "",
        "Bearer abc",
        "SharedAccessSignature",
        "SharedAccessSignature sr=x",
        "SharedAccessSignature sr=myhub.azure-devices.net&sig=a&se=soon&skn=iothubowner",
        "SharedAccessSignature sr=%ff&sig=a&se=1&skn=iothubowner",
        &format!("{VECTOR}&se=9999999999"),
    ] {
        assert_eq!(at(header, 0), Err(Refusal::Malformed), "{header}");
    }
    let none = policies().authorize(None, &Audience::of(HOST), &path(), None, 0);
    assert_eq!(none, Err(Refusal::Malformed));
}

#[test]
fn a_wrong_key_policy_or_expiry_is_refused() {
    assert_eq!(
        at(&VECTOR.replace("mnVO", "mnVP"), 0),
        Err(Refusal::WrongSignature)
    );
    assert_eq!(
        at(&VECTOR.replace("1767225600", "1767225601"), 0),
        Err(Refusal::WrongSignature)
    );
    assert_eq!(
        at(&VECTOR.replace("iothubowner", "service"), 0),
        Err(Refusal::UnknownPolicy)
    );
    assert_eq!(
        at(&VECTOR.replace("&skn=iothubowner", ""), 0),
        Err(Refusal::UnknownPolicy)
    );
}

#[test]
fn a_policy_opens_only_what_its_permissions_say() {
    let mut policies = Policies::with_skew(SKEW);
    policies.set(
        "iothubowner",
        Policy::new([KEY], vec![Permission::RegistryRead]).unwrap(),
    );
    let ask =
        |needed| policies.authorize(Some(VECTOR), &Audience::of(HOST), &path(), needed, EXPIRY);
    assert_eq!(ask(Some(Permission::RegistryRead)), Ok(()));
    assert_eq!(ask(None), Ok(()));
    assert_eq!(
        ask(Some(Permission::ServiceConnect)),
        Err(Refusal::MissingPermission)
    );
}

#[test]
fn either_key_of_a_policy_is_good_and_a_rotated_one_is_not() {
    let other = STANDARD.encode([9; 32]);
    let mut policies = Policies::with_skew(SKEW);
    let ask = |policies: &Policies| {
        policies.authorize(Some(VECTOR), &Audience::of(HOST), &path(), None, EXPIRY)
    };
    policies.set(
        "iothubowner",
        Policy::new([other.as_str(), KEY], vec![]).unwrap(),
    );
    assert_eq!(ask(&policies), Ok(()));
    policies.set(
        "iothubowner",
        Policy::new([other.as_str()], vec![]).unwrap(),
    );
    assert_eq!(ask(&policies), Err(Refusal::WrongSignature));
}

#[test]
fn a_hub_called_localhost_is_also_its_address() {
    let header = token("127.0.0.1%3A9");
    let result = policies().authorize(
        Some(&header),
        &Audience::of("localhost"),
        &path(),
        None,
        EXPIRY,
    );
    assert_eq!(result, Ok(()));
    assert_eq!(at(&header, EXPIRY), Err(Refusal::WrongAudience));
}

#[test]
fn permissions_are_read_in_any_case_and_misspellings_named() {
    assert_eq!(
        Permission::parse("registryREAD"),
        Ok(Permission::RegistryRead)
    );
    assert!(
        Permission::parse("RegistryReed")
            .unwrap_err()
            .contains("RegistryReed")
    );
}

#[test]
fn debug_output_of_a_policy_shows_no_key() {
    let shown = format!("{:?}", policies());
    assert!(
        !shown.contains("AAEC") && shown.contains("RegistryRead"),
        "{shown}"
    );
}
