//! The keys that an operator gives, and their names.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Most keys that a keyring holds.
pub const MAX_KEYS: usize = 16;
/// Bytes of a key.
const KEY_LEN: usize = 32;
/// Bytes of a key's hash that name it.
const ID_LEN: usize = 8;
/// Keeps the name of a key apart from any other hash of it.
const ID_DOMAIN: &[u8] = b"mender-iothub/sealing-key-id\0";

/// The name of a key: 16 digits of hexadecimal, from a hash of it. Tells nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    fn of(key: &[u8]) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(ID_DOMAIN);
        hash.update(key);
        let hash = hash.finish();
        let first: [u8; ID_LEN] = std::array::from_fn(|place| hash.as_ref()[place]);
        Self(format!("{:016x}", u64::from_be_bytes(first)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

impl TryFrom<String> for KeyId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == ID_LEN * 2 && text.bytes().all(digit) {
            Ok(Self(text))
        } else {
            Err("not the name of a key")
        }
    }
}

/// Why a text is no keyring. The text is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is none.
    #[error("there is no key")]
    Missing,
    /// One of them is no key.
    #[error("key {0} is not 32 bytes in base64 or hexadecimal")]
    Malformed(usize),
    /// The same key is there twice.
    #[error("key {0} is there twice")]
    Twice(usize),
    /// More than [`MAX_KEYS`].
    #[error("there are more than 16 keys")]
    TooMany,
}

/// One key. Overwritten when dropped.
struct Key {
    bytes: Zeroizing<[u8; KEY_LEN]>,
    id: KeyId,
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        if text.len() == KEY_LEN * 2 {
            for (place, byte) in bytes.iter_mut().enumerate() {
                let digits = text.get(place * 2..place * 2 + 2)?;
                // `from_str_radix` also takes a sign.
                if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                *byte = u8::from_str_radix(digits, 16).ok()?;
            }
        } else {
            let decoded = Zeroizing::new(STANDARD.decode(text).ok()?);
            if decoded.len() != KEY_LEN {
                return None;
            }
            bytes.copy_from_slice(&decoded);
        }
        let id = KeyId::of(bytes.as_slice());
        Some(Self { bytes, id })
    }
}

/// The keys at hand: the first seals, all of them open. `Debug` shows only their names.
pub struct Keyring(Vec<Key>);

impl Keyring {
    /// The name of the key that seals.
    #[must_use]
    pub fn current(&self) -> &KeyId {
        &self.0[0].id
    }

    /// The names of all keys, the one that seals first.
    pub fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.0.iter().map(|key| &key.id)
    }

    /// The key with this name, made ready. It is made anew for each use, so that nothing but the
    /// bytes that are overwritten in the end is kept.
    pub(crate) fn cipher(&self, id: &KeyId) -> Option<LessSafeKey> {
        let key = self.0.iter().find(|key| &key.id == id)?;
        let key = UnboundKey::new(&AES_256_GCM, key.bytes.as_slice()).ok()?;
        Some(LessSafeKey::new(key))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl FromStr for Keyring {
    type Err = KeyError;

    /// Takes keys of 32 bytes in base64 or hexadecimal, separated by white space or commas; the
    /// first is the one that seals. From `#` to the end of a line is comment.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().filter_map(|line| line.split('#').next());
        let words = lines.flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace()));
        let mut keys: Vec<Key> = Vec::new();
        for (number, word) in (1..).zip(words.filter(|word| !word.is_empty())) {
            if number > MAX_KEYS {
                return Err(KeyError::TooMany);
            }
            let key = Key::parse(word).ok_or(KeyError::Malformed(number))?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(KeyError::Twice(number));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(KeyError::Missing);
        }
        Ok(Self(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(fill: u8) -> String {
        STANDARD.encode([fill; KEY_LEN])
    }

    #[test]
    fn a_key_is_the_same_in_base64_and_in_hexadecimal_of_any_case() {
        let ids = [base64(0xab), "ab".repeat(32), "AB".repeat(32)]
            .map(|text| text.parse::<Keyring>().unwrap().current().clone());
        assert!(ids.iter().all(|id| id == &ids[0]), "{ids:?}");
    }

    #[test]
    fn the_first_key_seals_whatever_separates_them() {
        let (new, old) = (base64(2), base64(1));
        let first: KeyId = new.parse::<Keyring>().unwrap().current().clone();
        for text in [
            format!("{new},{old}"),
            format!("\n  {new}\r\n\n{old}\n"),
            format!("# new since March\n{new} # current\n{old}"),
        ] {
            let keys: Keyring = text.parse().unwrap();
            assert_eq!((keys.current(), keys.ids().count()), (&first, 2), "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_named_by_its_place_and_not_shown() {
        let good = base64(1);
        for (text, error) in [
            (String::new(), KeyError::Missing),
            (" # nothing\n".to_owned(), KeyError::Missing),
            ("short".to_owned(), KeyError::Malformed(1)),
            (STANDARD.encode([0; 16]), KeyError::Malformed(1)),
            (STANDARD.encode([0; 33]), KeyError::Malformed(1)),
            ("+f".repeat(32), KeyError::Malformed(1)),
            (
                format!("{good} {}", "zz".repeat(32)),
                KeyError::Malformed(2),
            ),
            (format!("{good} {}", "01".repeat(32)), KeyError::Twice(2)),
        ] {
            assert_eq!(text.parse::<Keyring>().unwrap_err(), error, "{text}");
        }
        let many: Vec<_> = (0..17).map(base64).collect();
        assert_eq!(
            many.join(" ").parse::<Keyring>().unwrap_err(),
            KeyError::TooMany
        );
    }

    #[test]
    fn debug_shows_names_only() {
        let keys: Keyring = base64(7).parse().unwrap();
        assert_eq!(format!("{keys:?}"), format!("[{:?}]", keys.current()));
        assert!(!format!("{keys:?}").contains(&base64(7)));
    }
}
