//! The keys that iot-manager seals credentials with.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Bytes of a key.
const LENGTH: usize = 32;
/// Any padding will do, as it does for iot-manager.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a text is no key. The text is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("iot-manager's key is 32 bytes: in base64, or, for old releases, as they are")]
pub struct KeyError;

/// `aes_encryption_key` or `aes_encryption_fallback_key`. Overwritten when dropped.
pub struct Key(Zeroizing<[u8; LENGTH]>);

impl Key {
    /// The key in base64.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(self.0.as_slice()))
    }

    pub(crate) fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// Both alphabets of base64 are taken. Releases before 2023 took the text itself, 32 bytes of it,
/// which as base64 would be 24 bytes: no text can be read in both ways.
impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> std::result::Result<Self, KeyError> {
        if text.len() == LENGTH {
            return Self::of(text.as_bytes());
        }
        let plain = Zeroizing::new(text.replace('-', "+").replace('_', "/"));
        let bytes = BASE64
            .decode(plain.trim_end_matches('='))
            .map(Zeroizing::new);
        Self::of(&bytes.map_err(|_| KeyError)?)
    }
}

impl Key {
    fn of(bytes: &[u8]) -> std::result::Result<Self, KeyError> {
        let mut key = Zeroizing::new([0; LENGTH]);
        if bytes.len() != LENGTH {
            return Err(KeyError);
        }
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_base64_of_either_alphabet_with_or_without_padding_or_plain() {
        let bytes: [u8; 32] =
            std::array::from_fn(|place| 0xfb_u8.wrapping_add(u8::try_from(place).unwrap()));
        let standard = base64::engine::general_purpose::STANDARD.encode(bytes);
        let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        for text in [standard.trim_end_matches('='), &standard, &url_safe] {
            assert_eq!(text.parse::<Key>().unwrap().bytes(), &bytes, "{text}");
        }
        let plain = "passphrasewhichneedstobe32bytes!";
        assert_eq!(plain.parse::<Key>().unwrap().bytes(), plain.as_bytes());
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        for text in ["", "hunter2", &"x".repeat(31), &"A".repeat(42), "=", "ключ"] {
            let error = text.parse::<Key>().unwrap_err().to_string();
            assert!(
                text.is_empty() || text == "=" || !error.contains(text),
                "{error}"
            );
        }
        let key: Key = "passphrasewhichneedstobe32bytes!".parse().unwrap();
        assert_eq!(format!("{key:?}"), "Key(***)");
    }
}
