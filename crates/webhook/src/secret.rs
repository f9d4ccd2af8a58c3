//! What signs the messages of one receiver.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// How a secret begins, so that people and scanners know it for one.
const PREFIX: &str = "whsec_";
/// "Random. At least 24 bytes (192 bits, 512 maximum)"; the 512 are bits.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that sender and receiver share.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a text is no secret. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret is not `whsec_` and 24 to 64 random bytes as base64, for instance from \
     `echo whsec_$(openssl rand -base64 32)`"
)]
pub struct InvalidSecret;

impl Secret {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As sender and receiver write it: `whsec_` and base64.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let base64 = Zeroizing::new(STANDARD.encode(self.bytes()));
        Zeroizing::new([PREFIX, base64.as_str()].concat())
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let base64 = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = STANDARD.decode(base64).map_err(|_| InvalidSecret)?;
        let bytes = Zeroizing::new(bytes);
        if LENGTHS.contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(InvalidSecret)
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_length(length: usize) -> String {
        format!("{PREFIX}{}", STANDARD.encode(vec![7; length]))
    }

    #[test]
    fn a_secret_is_written_as_it_was_read_and_does_not_show() {
        let text = of_length(32);
        let secret: Secret = text.parse().unwrap();
        assert_eq!(*secret.expose(), text);
        assert_eq!(format!("{secret:?}"), "Secret");
    }

    #[test]
    fn short_long_and_unmarked_secrets_are_refused() {
        for length in [24, 64] {
            assert!(of_length(length).parse::<Secret>().is_ok(), "{length}");
        }
        for bad in [of_length(23), of_length(65), String::new()] {
            assert_eq!(bad.parse::<Secret>(), Err(InvalidSecret));
        }
        for bad in [
            &of_length(32)[PREFIX.len()..],
            "whsec_",
            "whsec_?",
            "hunter2",
        ] {
            assert_eq!(bad.parse::<Secret>(), Err(InvalidSecret), "{bad}");
        }
    }
}
