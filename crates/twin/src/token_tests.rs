//! Tokens as Mender signs them, and everything that could be tried instead.

use std::fmt::Write as _;

use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};

use super::*;

// Keys for these tests alone.
const RSA: &[u8] = include_bytes!("token/test-keys/rsa.pk8");
const ED: &[u8] = include_bytes!("token/test-keys/ed25519.pk8");
const RSA_PUBLIC: &[u8] = include_bytes!("token/test-keys/rsa.pub.pem");
const ED_PUBLIC: &[u8] = include_bytes!("token/test-keys/ed25519.pub.pem");
const SHORT: &[u8] = include_bytes!("token/test-keys/rsa-1024.pub.pem");
const P256: &[u8] = include_bytes!("token/test-keys/p256.pub.pem");

pub(crate) const NOW: i64 = 1_800_000_000;
const CLAIMS: &str = r#""jti":"j","sub":"u","iss":"mender.useradm","scp":"mender.*","exp":1800000100,"iat":1799999000,"nbf":1799999000,"mender.tenant":"t","mender.user":true"#;

pub(crate) fn trust() -> Trust {
    let mut keys = Keys::default();
    keys.add(0, Key::from_pem(RSA_PUBLIC).unwrap()).unwrap();
    keys.add(7, Key::from_pem(ED_PUBLIC).unwrap()).unwrap();
    Trust {
        keys,
        issuers: vec!["mender.useradm".to_owned()],
        without_expiry: false,
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rs256(signed: &str) -> Vec<u8> {
    let key = RsaKeyPair::from_pkcs8(RSA).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    let sign = key.sign(
        &RSA_PKCS1_SHA256,
        &random,
        signed.as_bytes(),
        &mut signature,
    );
    sign.unwrap();
    signature
}

fn eddsa(signed: &str) -> Vec<u8> {
    let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(ED).unwrap();
    key.sign(signed.as_bytes()).as_ref().to_vec()
}

/// A token with this header and these claims, signed by the Ed25519 key, whose id is 7.
fn signed(header: &str, claims: &str) -> String {
    let mut token = format!("{}.{}", encode(header), encode(claims));
    let signature = encode(eddsa(&token));
    write!(token, ".{signature}").unwrap();
    token
}

fn with(claims: &str) -> String {
    signed(r#"{"alg":"EdDSA","typ":"JWT","kid":7}"#, claims)
}

/// The usual claims with one changed; an empty value takes it out.
pub(crate) fn changed(claim: &str, value: &str) -> String {
    let kept = CLAIMS
        .split(',')
        .filter(|pair| !pair.starts_with(&format!("\"{claim}\":")));
    let mut pairs: Vec<String> = kept.map(str::to_owned).collect();
    if !value.is_empty() {
        pairs.push(format!("\"{claim}\":{value}"));
    }
    with(&format!("{{{}}}", pairs.join(",")))
}

#[track_caller]
fn refused(token: &str, why: Refusal) {
    assert_eq!(verify(token, &trust(), NOW).unwrap_err(), why, "{token}");
}

#[track_caller]
fn taken(token: &str) -> Claims {
    verify(token, &trust(), NOW).unwrap()
}

#[test]
fn tokens_of_both_kinds_of_key_are_taken() {
    let claims = format!("{{{CLAIMS}}}");
    let mut rsa = format!(
        "{}.{}",
        encode(r#"{"alg":"RS256","typ":"JWT","kid":0}"#),
        encode(&claims)
    );
    let signature = encode(rs256(&rsa));
    write!(rsa, ".{signature}").unwrap();
    for token in [with(&claims), rsa] {
        let read = taken(&token);
        assert_eq!((read.subject.as_str(), read.tenant.as_str()), ("u", "t"));
        assert_eq!(read.token_id.as_deref(), Some("j"));
        assert_eq!(read_unverified(&token), Ok(read));
    }
}

#[test]
fn the_algorithm_is_that_of_the_key_whatever_the_header_says() {
    let claims = format!("{{{CLAIMS}}}");
    for alg in ["RS256", "none", "HS256", "eddsa", "PS256", "ES256", ""] {
        let header = format!(r#"{{"alg":"{alg}","typ":"JWT","kid":7}}"#);
        refused(&signed(&header, &claims), Refusal::Algorithm);
    }
    refused(&signed(r#"{"kid":7}"#, &claims), Refusal::Algorithm);
    // A signature by the one key under the name of the other.
    let other = signed(r#"{"alg":"RS256","kid":0}"#, &claims);
    refused(&other, Refusal::Signature);
}

#[test]
fn the_public_key_is_no_secret_to_sign_with() {
    let mut token = format!(
        "{}.{}",
        encode(r#"{"alg":"HS256","kid":0}"#),
        encode(format!("{{{CLAIMS}}}"))
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, RSA_PUBLIC);
    let signature = encode(ring::hmac::sign(&key, token.as_bytes()));
    write!(token, ".{signature}").unwrap();
    refused(&token, Refusal::Algorithm);
}

#[test]
fn the_key_is_chosen_by_a_whole_number_that_is_there() {
    let claims = format!("{{{CLAIMS}}}");
    let not_whole = Refusal::Content("`kid` is not a whole number");
    for (kid, why) in [
        ("8", Refusal::UnknownKey),
        ("-7", Refusal::UnknownKey),
        ("\"7\"", not_whole),
        ("7.0", not_whole),
        ("7e0", not_whole),
        ("-0", not_whole),
        ("null", not_whole),
        ("[7]", not_whole),
        ("99999999999999999999", not_whole),
    ] {
        let header = format!(r#"{{"alg":"EdDSA","kid":{kid}}}"#);
        refused(&signed(&header, &claims), why);
    }
    refused(&signed(r#"{"alg":"EdDSA"}"#, &claims), not_whole);
}

#[test]
fn a_header_brings_no_key_and_no_other_rules() {
    let claims = format!("{{{CLAIMS}}}");
    for member in [
        r#""jku":"https://evil""#,
        r#""x5u":"https://evil""#,
        r#""jwk":{}"#,
        r#""x5c":[]"#,
        r#""crit":["b64"]"#,
        r#""b64":false"#,
        r#""zip":"DEF""#,
        r#""cty":"JWT""#,
    ] {
        let header = format!(r#"{{"alg":"EdDSA","kid":7,{member}}}"#);
        let why = Refusal::Content("the header holds more than alg, typ, kid");
        refused(&signed(&header, &claims), why);
    }
    let typ = signed(r#"{"alg":"EdDSA","kid":7,"typ":"JWE"}"#, &claims);
    refused(&typ, Refusal::Content("`typ` is not JWT"));
}

#[test]
fn times_are_whole_numbers_around_now() {
    for (claim, value, why) in [
        ("exp", "", Some(Refusal::NoExpiry)),
        ("exp", "1799999940", Some(Refusal::Expired)),
        ("exp", "1799999941", None),
        ("exp", "0", Some(Refusal::Expired)),
        ("exp", "9223372036854775807", None),
        ("nbf", "1800000061", Some(Refusal::Future)),
        ("nbf", "1800000060", None),
        ("nbf", "", None),
        ("iat", "1800000061", Some(Refusal::Future)),
        ("iat", "1800000060", None),
    ] {
        let verified = verify(&changed(claim, value), &trust(), NOW);
        assert_eq!(verified.err(), why, "{claim} {value}");
    }
    let not_whole = Refusal::Content("a time is not a whole number of seconds");
    for claim in ["exp", "nbf", "iat"] {
        for value in [
            "1800000100.0",
            "1800000100.5",
            "1.8e9",
            "18e8",
            "\"1800000100\"",
            "null",
            "true",
            "-1",
            "[1800000100]",
            "{}",
            "9223372036854775808",
            "1e400",
        ] {
            refused(&changed(claim, value), not_whole);
        }
    }
}

#[test]
fn a_token_that_never_ends_is_a_matter_of_policy() {
    let lenient = Trust {
        without_expiry: true,
        ..trust()
    };
    let endless = changed("exp", "");
    assert!(verify(&endless, &lenient, NOW).is_ok());
    let over = changed("exp", "1799999940");
    assert_eq!(verify(&over, &lenient, NOW).unwrap_err(), Refusal::Expired);
}

#[test]
fn only_users_of_the_issuer_are_taken() {
    for (claim, value, why) in [
        ("mender.user", "", Refusal::NotAUser),
        ("mender.user", "false", Refusal::NotAUser),
        ("mender.user", "1", Refusal::NotAUser),
        ("mender.user", "\"true\"", Refusal::NotAUser),
        ("mender.device", "true", Refusal::NotAUser),
        ("mender.device", "false", Refusal::NotAUser),
        ("iss", "\"Mender\"", Refusal::Issuer),
        ("iss", "\"mender.useradm \"", Refusal::Issuer),
    ] {
        refused(&changed(claim, value), why);
    }
    for (claim, value) in [
        ("iss", ""),
        ("sub", ""),
        ("sub", "\"\""),
        ("sub", "null"),
        ("sub", "7"),
        ("jti", "7"),
        ("mender.tenant", "null"),
        ("mender.tenant", "7"),
        ("mender.tenant", "[\"t\"]"),
        ("scp", "\"mender.user.initial.create\""),
        ("scp", "[\"mender.*\"]"),
    ] {
        let verified = verify(&changed(claim, value), &trust(), NOW);
        let refusal = verified.expect_err(value);
        assert!(matches!(refusal, Refusal::Content(_)), "{claim} {value}");
    }
    assert_eq!(taken(&changed("mender.tenant", "")).tenant.as_str(), "");
}

#[test]
fn a_claim_given_twice_is_refused_in_any_spelling() {
    let why = Refusal::Content("the claims are not a plain JSON object");
    for twice in [
        r#","exp":1800000200"#,
        r#","mender.tenant":"other""#,
        r#","\u0073ub":"root""#,
        r#","x":{"a":1,"a":2}"#,
    ] {
        refused(&with(&format!("{{{CLAIMS}{twice}}}")), why);
    }
    for no_object in ["[]", "\"x\"", "null", "{", "{} {}", "\u{feff}{}"] {
        refused(&with(no_object), why);
    }
    let deep = format!(
        r#"{{{CLAIMS},"x":{}1{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    refused(&with(&deep), why);
    let header = signed(
        r#"{"alg":"none","alg":"EdDSA","kid":7}"#,
        &format!("{{{CLAIMS}}}"),
    );
    refused(
        &header,
        Refusal::Content("the header is not a plain JSON object"),
    );
}

#[test]
fn a_token_has_one_spelling() {
    let token = with(&format!("{{{CLAIMS}}}"));
    for other in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        token.replacen('.', "", 1),
        format!("{token}."),
        format!("{token}.x"),
        format!("{token}="),
        format!("{token}=="),
        format!("{token}\n"),
        format!(" {token}"),
        format!(".{token}"),
        token.rsplit_once('.').unwrap().0.to_owned() + ".",
    ] {
        refused(&other, Refusal::Form);
    }
    // 64 bytes leave four bits in the last character that mean nothing.
    let (most, last) = token.split_at(token.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut others = 0;
    for other in alphabet.chars().filter(|c| !last.starts_with(*c)) {
        assert!(verify(&format!("{most}{other}"), &trust(), NOW).is_err());
        others += 1;
    }
    assert_eq!(others, 63);
    let long = with(&format!(r#"{{{CLAIMS},"x":"{}"}}"#, "x".repeat(8_000)));
    refused(&long, Refusal::TooLong);
}

#[test]
fn keys_that_cannot_be_used_are_told_at_the_start() {
    for (pem, why) in [
        (&b""[..], KeyError::NotAKey),
        (
            b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
            KeyError::Kind,
        ),
        (RSA, KeyError::NotAKey),
        (P256, KeyError::Kind),
        (SHORT, KeyError::Short),
    ] {
        assert_eq!(Key::from_pem(pem).unwrap_err(), why);
    }
    let mut keys = trust().keys;
    let again = keys.add(7, Key::from_pem(ED_PUBLIC).unwrap());
    assert_eq!(again.unwrap_err(), KeyError::Twice(7));
}

#[test]
fn claims_are_found_by_pointer() {
    let claims = taken(&with(&format!(
        r#"{{{CLAIMS},"mender.roles":["a"],"x/y":{{"z~":"b"}}}}"#
    )));
    assert_eq!(claims.at("/mender.roles").unwrap()[0], "a");
    assert_eq!(claims.at("/x~1y/z~0").unwrap(), "b");
    for nothing in ["", "/", "mender.roles", "/mender/roles", "/sub/x"] {
        assert_eq!(claims.at(nothing), None, "{nothing}");
    }
    assert!(!format!("{claims:?}").contains("mender.roles"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(token in ".{0,300}", parts in prop::array::uniform3("[A-Za-z0-9_=-]{0,60}")) {
        prop_assert!(verify(&token, &trust(), NOW).is_err());
        prop_assert!(verify(&parts.join("."), &trust(), NOW).is_err());
        let _ = read_unverified(&token);
    }

    #[test]
    fn no_claims_make_it_panic(claims in r#"\{("[a-z.]{1,12}":([0-9eE.+-]{1,30}|"[a-z*. ]{0,9}"|true|null|\[\]),?){0,6}\}"#) {
        let _ = verify(&with(&claims), &trust(), NOW);
    }

    #[test]
    fn one_changed_character_is_enough(at in 0_usize..1000, by in 1_u8..64) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut token = with(&format!("{{{CLAIMS}}}")).into_bytes();
        let at = at % token.len();
        prop_assume!(token[at] != b'.');
        let place = ALPHABET.iter().position(|c| *c == token[at]).unwrap();
        token[at] = ALPHABET[(place + usize::from(by)) % 64];
        prop_assert!(verify(std::str::from_utf8(&token).unwrap(), &trust(), NOW).is_err());
    }
}
