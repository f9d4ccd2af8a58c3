//! What opens and what does not.

use proptest::prelude::*;
use ring::rand::SystemRandom;
use sealing::{Keyring, Scope, SealError, Sealed};

const SCOPE: Scope<'static> = Scope {
    tenant: "t1",
    purpose: "hub-credential",
    beside: b"h.azure-devices.net",
};

fn keys(fills: &[u8]) -> Keyring {
    let texts: Vec<_> = fills
        .iter()
        .map(|fill| format!("{fill:02x}").repeat(32))
        .collect();
    texts.join("\n").parse().unwrap()
}

fn seal(keys: &Keyring, scope: Scope<'_>, secret: &[u8]) -> Sealed {
    keys.seal(scope, secret, &SystemRandom::new()).unwrap()
}

#[test]
fn what_is_sealed_opens_with_the_same_key_for_the_same_scope_only() {
    let sealed = seal(&keys(&[1]), SCOPE, b"sesame");
    assert_eq!(*keys(&[1]).open(SCOPE, &sealed).unwrap(), b"sesame");
    for other in [
        Scope {
            tenant: "t2",
            ..SCOPE
        },
        Scope {
            purpose: "other",
            ..SCOPE
        },
        Scope {
            beside: b"evil.azure-devices.net",
            ..SCOPE
        },
    ] {
        assert_eq!(
            keys(&[1]).open(other, &sealed),
            Err(SealError::Damaged),
            "{other:?}"
        );
    }
    let unknown = SealError::UnknownKey(sealed.key_id().clone());
    assert_eq!(keys(&[2]).open(SCOPE, &sealed), Err(unknown));
}

#[test]
fn an_old_key_opens_and_the_new_one_seals() {
    let old = seal(&keys(&[1]), SCOPE, b"sesame");
    let both = keys(&[2, 1]);
    assert_eq!(*both.open(SCOPE, &old).unwrap(), b"sesame");
    let new = seal(&both, SCOPE, b"sesame");
    assert_eq!(new.key_id(), keys(&[2]).current());
    assert_eq!(*keys(&[2]).open(SCOPE, &new).unwrap(), b"sesame");
}

#[test]
fn the_same_secret_never_looks_the_same() {
    let keys = keys(&[1]);
    let envelopes: std::collections::BTreeSet<_> = (0..1000)
        .map(|_| seal(&keys, SCOPE, b"x").to_json())
        .collect();
    assert_eq!(envelopes.len(), 1000);
}

#[test]
fn no_byte_can_be_changed() {
    let keys = keys(&[1, 2]);
    let stored = seal(&keys, SCOPE, b"HostName=h;SharedAccessKey=c2VzYW1l").to_json();
    for place in 0..stored.len() {
        for flip in 1..=255 {
            let mut changed = stored.clone();
            changed[place] ^= flip;
            let opened = Sealed::from_json(&changed).and_then(|it| keys.open(SCOPE, &it));
            assert!(opened.is_err(), "byte {place} ^ {flip}: {changed:?}");
        }
    }
    for length in 0..stored.len() {
        assert!(
            Sealed::from_json(&stored[..length]).is_err(),
            "cut to {length}"
        );
    }
}

#[test]
fn the_secret_is_not_in_the_envelope() {
    let stored = seal(&keys(&[1]), SCOPE, b"sesame, open").to_json();
    assert!(!stored.windows(6).any(|part| part == b"sesame"));
}

proptest! {
    #[test]
    fn every_secret_comes_back(
        secret in proptest::collection::vec(any::<u8>(), 0..2000),
        (tenant, purpose) in any::<(String, String)>(),
        beside in any::<Vec<u8>>(),
    ) {
        let keys = keys(&[9]);
        let scope = Scope { tenant: &tenant, purpose: &purpose, beside: &beside };
        let stored = seal(&keys, scope, &secret).to_json();
        let sealed = Sealed::from_json(&stored).unwrap();
        prop_assert_eq!(&*keys.open(scope, &sealed).unwrap(), &secret);
    }

    /// What moves from one part of the scope to the next is another scope.
    #[test]
    fn scopes_do_not_run_into_each_other(text in "[a-c/]{0,6}", a in 0usize..7, b in 0usize..7) {
        let split = |at: usize| text.split_at(at.min(text.len()));
        let scope = |(tenant, purpose)| Scope { tenant, purpose, beside: b"" };
        let (one, other) = (scope(split(a)), scope(split(b)));
        let keys = keys(&[9]);
        let sealed = seal(&keys, one, b"x");
        prop_assert_eq!(keys.open(other, &sealed).is_ok(), one == other);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>(), text in ".{0,100}") {
        let _ = Sealed::from_json(&bytes).map(|it| keys(&[1]).open(SCOPE, &it));
        let _ = text.parse::<Keyring>();
    }
}
