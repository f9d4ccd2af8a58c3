//! One NATS subject token for any text.
//!
//! Tenants and devices appear in subjects and store keys, where `.`, `*`, `>` and blanks mean
//! something. The encoding keeps ids readable, is injective, and needs only characters that
//! JetStream KV keys allow: `A-Za-z0-9-_` stay, any other byte is `=HH`, the empty text is `=`.

use std::fmt::Write as _;

/// Why a token is not the encoding of any text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// A character that the encoding never produces.
    #[error("a character that does not belong in a token")]
    Character,
    /// `=` not followed by two upper-case hexadecimal digits, or an escape that was not needed.
    #[error("a malformed escape")]
    Escape,
    /// The bytes are not UTF-8.
    #[error("not valid UTF-8")]
    Utf8,
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Encodes `text` as one subject token.
#[must_use]
pub fn encode(text: &str) -> String {
    if text.is_empty() {
        return "=".to_owned();
    }
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            token.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(token, "={byte:02X}");
        }
    }
    token
}

/// Decodes a token made by [`encode`]. Other spellings of the same text are refused, so that
/// two different subjects never name one device.
pub fn decode(token: &str) -> Result<String, TokenError> {
    if token == "=" {
        return Ok(String::new());
    }
    if token.is_empty() {
        return Err(TokenError::Character);
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if is_plain(first) {
            bytes.push(first);
            rest = tail;
        } else if first == b'=' {
            let (escaped, tail) = unescape(tail)?;
            bytes.push(escaped);
            rest = tail;
        } else {
            return Err(TokenError::Character);
        }
    }
    String::from_utf8(bytes).map_err(|_| TokenError::Utf8)
}

fn unescape(rest: &[u8]) -> Result<(u8, &[u8]), TokenError> {
    let [high, low, tail @ ..] = rest else {
        return Err(TokenError::Escape);
    };
    let byte = hex(*high)? << 4 | hex(*low)?;
    if is_plain(byte) {
        return Err(TokenError::Escape);
    }
    Ok((byte, tail))
}

fn hex(digit: u8) -> Result<u8, TokenError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(TokenError::Escape),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_stay_readable_and_specials_are_escaped() {
        assert_eq!(encode("7b1f-0f5e_A"), "7b1f-0f5e_A");
        assert_eq!(encode("a.b *>=/"), "a=2Eb=20=2A=3E=3D=2F");
        assert_eq!(encode(""), "=");
    }

    #[test]
    fn other_spellings_of_the_same_text_are_refused() {
        assert_eq!(decode("=41"), Err(TokenError::Escape));
        assert_eq!(decode("=2e"), Err(TokenError::Escape));
        assert_eq!(decode("a="), Err(TokenError::Escape));
        assert_eq!(decode("a.b"), Err(TokenError::Character));
        assert_eq!(decode(""), Err(TokenError::Character));
        assert_eq!(decode("=FF"), Err(TokenError::Utf8));
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in ".*") {
            let token = encode(&text);
            prop_assert!(!token.is_empty() && !token.contains(['.', ' ', '*', '>']));
            prop_assert_eq!(decode(&token), Ok(text));
        }

        #[test]
        fn a_token_that_decodes_is_the_only_one_of_its_text(token in "[A-F0-9=a-z._]{0,12}") {
            if let Ok(text) = decode(&token) {
                prop_assert_eq!(encode(&text), token);
            }
        }
    }
}
