//! Tokens that devices sign with their own keys.
//!
//! They name no policy, and are good for the device or module they name and nothing else. The
//! same refusal serves for everything that may be wrong, so that nobody learns which ids exist.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::{Audience, Refusal, Token};

/// What let a device in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    /// The place of the key, among those it was held against, that signed the token.
    pub(crate) key: usize,
    /// When the token ends, in seconds since 1970.
    pub(crate) expiry: u64,
}

/// Holds a token against the keys of the device or module with this path (`["devices", "d1"]`).
/// It is good until `skew` seconds after its expiry.
pub(crate) fn check<'a>(
    token: &str,
    audience: &Audience,
    path: &[String],
    keys: impl Iterator<Item = &'a str>,
    (skew, unix_seconds): (u64, u64),
) -> Result<Admission, Refusal> {
    let token = Token::parse(token).ok_or(Refusal::Malformed)?;
    let resource = token.resource().ok_or(Refusal::Malformed)?;
    // A policy's token may be for more than it is used for; a device's may not.
    let whole = resource.trim_end_matches('/').split('/').count() == path.len() + 1;
    if !whole || !audience.covers(&resource, path) {
        return Err(Refusal::WrongAudience);
    }
    let expiry: u64 = token.expiry.parse().map_err(|_| Refusal::Malformed)?;
    let expiry = expiry.saturating_add(skew);
    if expiry < unix_seconds {
        return Err(Refusal::Expired);
    }
    let signed_by = |key: &str| {
        let key = STANDARD.decode(key).ok();
        key.is_some_and(|key| token.is_signed_by(&hmac::Key::new(hmac::HMAC_SHA256, &key)))
    };
    let key = keys.into_iter().position(signed_by);
    let key = key.ok_or(Refusal::WrongSignature)?;
    Ok(Admission { key, expiry })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 2] = ["AAECAwQFBgcICQoLDA0ODw==", "Dw4NDAsKCQgHBgUEAwIBAA=="];
    const NOW: u64 = 1_000;

    fn token(resource: &str, expiry: &str, key: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).unwrap());
        let tag = hmac::sign(&key, format!("{resource}\n{expiry}").as_bytes());
        let signature = STANDARD.encode(tag).replace('+', "%2B");
        format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry}")
    }

    fn admitted(token: &str, path: &[&str]) -> Result<Admission, Refusal> {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        let audience = Audience::of("localhost");
        check(token, &audience, &path, KEYS.into_iter(), (10, NOW))
    }

    #[test]
    fn both_keys_open_and_the_port_does_not_matter() {
        for (resource, key) in [
            ("localhost%2Fdevices%2Fd1", 0),
            ("LOCALHOST/devices/d1", 1),
            ("localhost%3A8443%2fdevices%2fd1", 0),
        ] {
            let token = token(resource, "1000", KEYS[key]);
            let admission = Admission { key, expiry: 1010 };
            assert_eq!(admitted(&token, &["devices", "d1"]), Ok(admission));
        }
    }

    #[test]
    fn a_token_is_for_one_device_or_module_of_this_hub() {
        let of = |resource: &str| token(resource, "1000", KEYS[0]);
        let device = ["devices", "d1"];
        let module = ["devices", "d1", "modules", "m1"];
        assert!(admitted(&of("localhost/devices/d1/modules/m1"), &module).is_ok());
        for (resource, path) in [
            ("localhost", &device[..]),
            ("localhost/devices", &device),
            ("localhost/devices/", &device),
            ("localhost/devices/d2", &device),
            ("localhost/devices/d1/modules/m1", &device),
            ("otherhost/devices/d1", &device),
            ("localhost/devices/d1", &module),
            ("localhost/devices/d1/modules/m2", &module),
        ] {
            let refusal = admitted(&of(resource), path);
            assert_eq!(refusal, Err(Refusal::WrongAudience), "{resource}");
        }
    }

    #[test]
    fn what_is_old_forged_or_no_token_is_refused() {
        let path = ["devices", "d1"];
        let resource = "localhost/devices/d1";
        let old = token(resource, "989", KEYS[0]);
        assert_eq!(admitted(&old, &path), Err(Refusal::Expired));
        let forged = token(resource, "1000", "AAAAAAAAAAAAAAAAAAAAAA==");
        assert_eq!(admitted(&forged, &path), Err(Refusal::WrongSignature));
        let moved = token(resource, "1000", KEYS[0]).replace("se=1000", "se=9000");
        assert_eq!(admitted(&moved, &path), Err(Refusal::WrongSignature));
        for text in [
            "",
            "SharedAccessSignature ",
            "SharedAccessSignature sr=a&se=b",
        ] {
            assert_eq!(admitted(text, &path), Err(Refusal::Malformed));
        }
        let endless = token(resource, "18446744073709551615", KEYS[0]);
        assert_eq!(admitted(&endless, &path).unwrap().expiry, u64::MAX);
    }
}
