//! The two kinds of ETag the service uses, and what an `If-Match` header asks for.
//!
//! Both kinds are counters in disguise: clients must treat them as opaque, but a fake that used
//! random text would hide bugs such as comparing decoded numbers or assuming a length.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::IF_MATCH;
use serde::{Deserialize, Serialize};

/// The version of an identity: base64 of a decimal number, plus one for each write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdentityEtag(u64);

impl IdentityEtag {
    /// The first version of a configuration.
    pub(crate) const ONE: Self = Self(1);

    /// The first version of a new identity. The service starts at a random nine-digit number or so.
    pub(crate) const fn first(seed: u32) -> Self {
        Self(100_000_000 + (seed as u64 % 900_000_000))
    }

    /// The version after one more write.
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The counter itself, for the text of a 412.
    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// The text as it stands in bodies, without quotes.
    pub(crate) fn text(self) -> String {
        STANDARD.encode(self.0.to_string())
    }

    /// The number that an etag sent by a client stands for, if it is one of ours in form.
    pub(crate) fn decode(text: &str) -> Option<u64> {
        String::from_utf8(STANDARD.decode(text).ok()?)
            .ok()?
            .parse()
            .ok()
    }
}

/// The version of a twin: base64 of an eight-byte big-endian counter that starts at one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TwinEtag(u64);

impl TwinEtag {
    /// The version of a twin nobody has written yet: `AAAAAAAAAAE=`.
    pub(crate) const FIRST: Self = Self(1);

    /// The version after one more write of tags or desired properties.
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The twin's `version` field, which runs one ahead of the etag.
    pub(crate) const fn version(self) -> u64 {
        self.0 + 1
    }

    /// The text as it stands in bodies, without quotes.
    pub(crate) fn text(self) -> String {
        STANDARD.encode(self.0.to_be_bytes())
    }
}

/// What a request demands of the version it is about to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// No header, an empty one, or `""`, which the .NET client sends on every create.
    Absent,
    /// `*` or `"*"`: any version, as long as there is one.
    Any,
    /// One version, without its quotes.
    Exactly(String),
}

impl Precondition {
    /// Reads `If-Match`. Quotes are optional, as the service takes identity etags either way.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(IF_MATCH) else {
            return Self::Absent;
        };
        let text = String::from_utf8_lossy(value.as_bytes());
        let text = text.trim();
        let inner = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        match inner.unwrap_or(text) {
            "" => Self::Absent,
            "*" => Self::Any,
            etag => Self::Exactly(etag.to_owned()),
        }
    }

    /// Reads `If-Match` as the service does for configurations: an etag without quotes is none.
    pub(crate) fn from_headers_quoted(headers: &HeaderMap) -> Self {
        let quoted = |value: &http::HeaderValue| value.as_bytes().starts_with(b"\"");
        match Self::from_headers(headers) {
            Self::Exactly(_) if !headers.get(IF_MATCH).is_some_and(quoted) => Self::Absent,
            other => other,
        }
    }

    /// Whether a version with this text may be changed.
    pub(crate) fn allows(&self, current: &str) -> bool {
        match self {
            Self::Absent | Self::Any => true,
            Self::Exactly(etag) => etag == current,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn precondition(value: &str) -> Precondition {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, value.parse().unwrap());
        Precondition::from_headers(&headers)
    }

    #[test]
    fn identity_etags_are_base64_of_a_decimal_that_rises_by_one() {
        let etag = IdentityEtag(727_894_863);
        assert_eq!(etag.text(), "NzI3ODk0ODYz");
        assert_eq!(etag.next().text(), "NzI3ODk0ODY0");
        assert_eq!(IdentityEtag::decode("NzI3ODk0ODY0"), Some(727_894_864));
    }

    #[test]
    fn the_first_identity_etag_has_nine_digits_whatever_the_dice_say() {
        for seed in [0, 1, 899_999_999, 900_000_000, u32::MAX] {
            assert_eq!(IdentityEtag::first(seed).number().to_string().len(), 9);
        }
    }

    #[test]
    fn an_etag_of_another_form_has_no_number() {
        for text in ["", "!", "AAAAAAAAAAE=", "bm90IGEgbnVtYmVy"] {
            assert_eq!(IdentityEtag::decode(text), None, "{text}");
        }
    }

    #[test]
    fn twin_etags_are_base64_of_eight_bytes_and_start_at_one() {
        assert_eq!(TwinEtag::FIRST.text(), "AAAAAAAAAAE=");
        assert_eq!(TwinEtag::FIRST.next().text(), "AAAAAAAAAAI=");
        assert_eq!(TwinEtag::FIRST.version(), 2);
    }

    #[test]
    fn a_missing_or_quoted_empty_if_match_is_no_precondition() {
        assert_eq!(
            Precondition::from_headers(&HeaderMap::new()),
            Precondition::Absent
        );
        assert_eq!(precondition(r#""""#), Precondition::Absent);
        assert_eq!(precondition(""), Precondition::Absent);
    }

    #[test]
    fn both_spellings_of_the_wildcard_mean_any() {
        assert_eq!(precondition("*"), Precondition::Any);
        assert_eq!(precondition(r#""*""#), Precondition::Any);
    }

    #[test]
    fn for_configurations_an_etag_needs_its_quotes() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MATCH, value.parse().unwrap());
            Precondition::from_headers_quoted(&headers)
        };
        assert_eq!(read("MQ=="), Precondition::Absent);
        assert_eq!(read(r#""MQ==""#), Precondition::Exactly("MQ==".to_owned()));
        assert_eq!(
            (read("*"), read(r#""*""#)),
            (Precondition::Any, Precondition::Any)
        );
    }

    #[test]
    fn an_etag_counts_quoted_and_unquoted() {
        let wanted = Precondition::Exactly("NzI3".to_owned());
        assert_eq!(precondition(r#""NzI3""#), wanted);
        assert_eq!(precondition("NzI3"), wanted);
        assert!(wanted.allows("NzI3"));
        assert!(!wanted.allows("NzI4"));
    }
}
