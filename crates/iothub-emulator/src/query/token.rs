//! Continuation tokens: where the next page starts, for the query that this one came from.
//!
//! To a client a token is only text. It is good for the same query text, for as long as the
//! emulator runs and after a restart, because it names a place in the order of ids and not a
//! position in some list that is kept for it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// Bytes of the digest that ties a token to its query.
const DIGEST_BYTES: usize = 9;

/// Where a page ends.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The device of the last row.
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<String>,
    /// The module of the last row; the device is done if there is none.
    #[serde(rename = "m", skip_serializing_if = "Option::is_none")]
    pub(crate) module: Option<String>,
    /// Rows in this page and those before it.
    #[serde(rename = "n")]
    pub(crate) rows: usize,
}

#[derive(Serialize, Deserialize)]
struct Token {
    #[serde(rename = "q")]
    query: String,
    #[serde(flatten)]
    place: Place,
}

/// The token for what follows `place`.
pub(crate) fn write(query: &str, place: Place) -> String {
    let token = Token {
        query: fingerprint(query),
        place,
    };
    let text = serde_json::to_vec(&token).expect("text keys and plain values always serialize");
    URL_SAFE_NO_PAD.encode(text)
}

/// The place a token stands for; `None` if it is no token or that of another query.
pub(crate) fn read(query: &str, token: &str) -> Option<Place> {
    let text = URL_SAFE_NO_PAD.decode(token).ok()?;
    let token: Token = serde_json::from_slice(&text).ok()?;
    (token.query == fingerprint(query)).then_some(token.place)
}

fn fingerprint(query: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest(&SHA256, query.as_bytes()).as_ref()[..DIGEST_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_place_for_the_same_query_only() {
        let place = Place {
            device: Some("d'1".to_owned()),
            module: None,
            rows: 7,
        };
        let token = write("SELECT * FROM devices", place.clone());
        assert_eq!(read("SELECT * FROM devices", &token), Some(place));
        assert_eq!(read("SELECT * FROM devices ", &token), None);
    }

    #[test]
    fn nonsense_is_no_token() {
        for text in ["", "!", "e30", "AAAA"] {
            assert_eq!(read("q", text), None, "{text}");
        }
    }
}
