//! What decides about trust: tokens of strangers, and envelopes from a store somebody may have
//! written to.

use std::sync::OnceLock;

use sealing::{Keyring, Scope, Sealed};
use twin::token::{Key, Keys, Trust, read_unverified, verify};

use crate::text;

/// The first moment of 2026.
const NOW: i64 = 1_767_225_600;
/// The key of the one envelope in the corpus that opens, and what is in it.
const SEALING_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SECRET: &[u8] = b"sesame";
const SCOPE: Scope<'_> = Scope {
    tenant: "t1",
    purpose: "hub-credential",
    beside: b"myhub.azure-devices.net",
};
/// The subject of the one token in the corpus that is good.
const SUBJECT: &str = "fuzz-user";
const PUBLIC_KEY: &[u8] = include_bytes!("trust/ed25519.pub.pem");

/// A user's token. One that is taken is the one that was signed: nobody else has the key.
pub(crate) fn token(bytes: &[u8]) {
    let Some(token) = text(bytes) else { return };
    let _ = read_unverified(token);
    if let Ok(claims) = verify(token, trust(), NOW) {
        assert_eq!(claims.subject, SUBJECT, "a forged token was taken");
    }
}

fn trust() -> &'static Trust {
    static TRUST: OnceLock<Trust> = OnceLock::new();
    TRUST.get_or_init(|| {
        let mut keys = Keys::default();
        let key = Key::from_pem(PUBLIC_KEY).expect("the file beside this one is a key");
        keys.add(7, key).expect("it is the first one");
        Trust {
            keys,
            issuers: vec!["mender.useradm".to_owned()],
            without_expiry: false,
        }
    })
}

/// A sealed credential. What opens is what was sealed, and it is written as it was read.
pub(crate) fn envelope(bytes: &[u8]) {
    let Ok(sealed) = Sealed::from_json(bytes) else {
        return;
    };
    let written = sealed.to_json();
    let again = Sealed::from_json(&written).expect("what was read is read again");
    assert_eq!(again.to_json(), written, "not the same when read again");
    let keys: Keyring = SEALING_KEY.parse().expect("32 bytes in base64 are a key");
    if let Ok(opened) = keys.open(SCOPE, &sealed) {
        assert_eq!(opened.as_slice(), SECRET, "a forged envelope opens");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_good_ones_of_the_corpus_are_taken() {
        let token = include_str!("../corpus/token/good");
        assert!(verify(token, trust(), NOW).is_ok());
        let sealed = Sealed::from_json(include_bytes!("../corpus/envelope/good")).unwrap();
        let keys: Keyring = SEALING_KEY.parse().unwrap();
        assert!(keys.open(SCOPE, &sealed).is_ok());
    }
}
