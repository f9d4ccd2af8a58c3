//! The keys of an identity: told apart by fingerprints, changed one at a time.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use iothub::{Authentication, DeviceKeys, Identity, Secret};
use lifecycle::{KeyChange, Keys};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Bytes of a key's hash that tell one key from another.
const FINGERPRINT: usize = 8;
/// As long as the keys that the hub makes.
const KEY_BYTES: usize = 32;

/// Why the keys of an identity cannot be changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    #[error("the identity has no symmetric key")]
    NoKeys,
    #[error("the identity's keys are not as the hub makes them: {0}")]
    Odd(#[from] iothub::InvalidDeviceKey),
    #[error("no randomness is to be had")]
    NoRandomness,
}

/// What tells a key from another, and tells nobody the key.
pub(super) fn fingerprint(key: &Secret) -> String {
    let hash = digest(&SHA256, key.expose().as_bytes());
    let first: [u8; FINGERPRINT] = std::array::from_fn(|place| hash.as_ref()[place]);
    format!("{:016x}", u64::from_be_bytes(first))
}

/// The fingerprints of both keys, if it has any.
pub(super) fn fingerprints(identity: &Identity) -> Option<Keys> {
    Some(Keys {
        primary: fingerprint(&identity.primary_key()?),
        secondary: fingerprint(&identity.secondary_key()?),
    })
}

/// The identity with its keys changed.
pub(super) fn changed(identity: &Identity, change: KeyChange) -> Result<Identity, KeysError> {
    let primary = identity.primary_key().ok_or(KeysError::NoKeys)?;
    let keys = match change {
        KeyChange::RenewSecondary => DeviceKeys::new(primary, new_key()?)?,
        KeyChange::Swap => {
            let secondary = identity.secondary_key().ok_or(KeysError::NoKeys)?;
            DeviceKeys::new(secondary, primary)?
        }
    };
    let mut identity = identity.clone();
    identity.replace_authentication(&Authentication::Keys(keys));
    Ok(identity)
}

fn new_key() -> Result<Secret, KeysError> {
    let mut bytes = zeroize::Zeroizing::new([0; KEY_BYTES]);
    let filled = SystemRandom::new().fill(&mut *bytes);
    filled.map_err(|_| KeysError::NoRandomness)?;
    Ok(Secret::from(STANDARD.encode(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let body = r#"{"deviceId":"d","generationId":"1","etag":"e","status":"enabled","authentication":
            {"type":"sas","symmetricKey":{"primaryKey":"AAECAwQFBgcICQoLDA0ODw==","secondaryKey":"EBESExQVFhcYGRobHB0eHw=="}}}"#;
        Identity::from_json(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_renewed_secondary_key_is_new_each_time_and_leaves_the_primary_one() {
        let before = fingerprints(&identity()).unwrap();
        let one = fingerprints(&changed(&identity(), KeyChange::RenewSecondary).unwrap()).unwrap();
        let two = fingerprints(&changed(&identity(), KeyChange::RenewSecondary).unwrap()).unwrap();
        assert_eq!(one.primary, before.primary);
        assert_ne!(one.secondary, before.secondary);
        assert_ne!(one.secondary, two.secondary);
    }

    #[test]
    fn swapped_keys_change_places_and_nothing_else_changes() {
        let before = fingerprints(&identity()).unwrap();
        let swapped = changed(&identity(), KeyChange::Swap).unwrap();
        let after = fingerprints(&swapped).unwrap();
        assert_eq!(
            (after.primary, after.secondary),
            (before.secondary, before.primary)
        );
        assert_eq!(swapped.etag(), Some("e"));
        assert_eq!(swapped.generation_id(), Some("1"));
    }
}
