//! What token endpoints answer.
//!
//! Entra sends numbers as numbers, managed identity sends them as strings, and App Service tells
//! when a token ends but not how long it holds. Of a refusal only the error's code and its AADSTS
//! number are kept: the description repeats ids, and Microsoft changes its words.

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::Reply;
use crate::document::Document;
use crate::error::{self, Effect, Error, Kind, Result};
use crate::token::Token;

/// Seconds before its end when a token is renewed.
const RENEW_EARLY: u64 = 5 * 60;
/// A token that claims to hold longer is renewed all the same.
const LONGEST_LIFE: u64 = 24 * 3600;

/// The token in an answer. `now` is the time by which it will be judged, in Unix seconds.
pub(super) fn token(reply: &Reply, now: u64) -> Result<Token> {
    if !reply.status.is_success() {
        return Err(refusal(reply.status, &reply.headers, &reply.body));
    }
    let read = || {
        let body = Document::parse(&reply.body, &["access_token", "refresh_token"]).ok()?;
        let life = number(body.get("expires_in"))
            .or_else(|| number(body.get("expires_on"))?.checked_sub(now))?;
        let life = life.min(LONGEST_LIFE);
        // A short-lived one is renewed halfway.
        let use_for = life.saturating_sub(RENEW_EARLY).max(life / 2);
        let text = body.text("access_token").filter(|text| !text.is_empty())?;
        let header = zeroize::Zeroizing::new(format!("Bearer {text}"));
        Token::new(
            &header,
            now.saturating_add(use_for),
            now.saturating_add(life),
        )
    };
    read().ok_or_else(|| {
        Error::new(Kind::Malformed, Effect::None)
            .with_detail("the answer to the request for a token holds none")
    })
}

fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
    let body = Document::parse(body, &["error_description"]).ok();
    let code = body.as_ref().and_then(|body| body.text("error"));
    let codes = body.as_ref().and_then(|body| body.get("error_codes"));
    let aadsts = codes.and_then(|codes| u32::try_from(codes.get(0)?.as_u64()?).ok());
    let passing = matches!(code, Some("temporarily_unavailable" | "server_error"));
    let (kind, detail) = match status.as_u16() {
        429 => {
            let retry_after = error::retry_after(headers);
            (
                Kind::Throttled { retry_after },
                "too many requests for tokens",
            )
        }
        404 | 408 | 410 | 500.. => (Kind::Transient, "the issuer of tokens is not available"),
        400.. if passing => (Kind::Transient, "the issuer of tokens is not available"),
        400.. => (Kind::Unauthorized, "the credential was refused a token"),
        // Redirects are not followed.
        _ => (Kind::Malformed, "the issuer of tokens sends elsewhere"),
    };
    let error = Error::new(kind, Effect::None).with_detail(detail);
    error.with_status(status).with_issuer_code(code, aadsts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Zeroizing::new(body.as_bytes().to_vec()),
        }
    }

    /// The seconds until renewal and end of the token in an answer that comes at second 1000.
    fn times(body: &str) -> (u64, u64) {
        let token = token(&reply(200, body), 1000).unwrap();
        assert_eq!(token.header(), "Bearer t0ken");
        let last = |holds: fn(&Token, u64) -> bool| {
            let seconds = 0..200_000;
            seconds
                .take_while(|second| holds(&token, 1000 + second))
                .count() as u64
        };
        (last(Token::is_fresh), last(Token::is_valid))
    }

    #[test]
    fn a_token_is_renewed_five_minutes_early() {
        let body = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"t0ken"}"#;
        assert_eq!(times(body), (3299, 3599));
    }

    #[test]
    fn numbers_may_be_strings_and_an_end_may_stand_for_a_life() {
        let machine = r#"{"access_token":"t0ken","refresh_token":"","expires_in":"3599","expires_on":"1506484173"}"#;
        assert_eq!(times(machine), (3299, 3599));
        let service = r#"{"access_token":"t0ken","expires_on":"4600"}"#;
        assert_eq!(times(service), (3300, 3600));
    }

    #[test]
    fn a_short_life_is_halved_and_a_long_one_cut() {
        assert_eq!(
            times(r#"{"expires_in":60,"access_token":"t0ken"}"#),
            (30, 60)
        );
        assert_eq!(
            times(r#"{"expires_in":999999999,"access_token":"t0ken"}"#),
            (86_100, 86_400)
        );
    }

    #[test]
    fn a_success_without_a_token_is_malformed_and_touched_no_hub() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"access_token":"t"}"#,
            r#"{"expires_in":9}"#,
            r#"{"access_token":"","expires_in":9}"#,
            r#"{"access_token":"a\nb","expires_in":9}"#,
        ] {
            let error = token(&reply(200, body), 0).unwrap_err();
            assert_eq!(
                (error.kind(), error.effect()),
                (Kind::Malformed, Effect::None),
                "{body}"
            );
        }
    }

    #[test]
    fn a_refused_credential_shows_code_and_number_and_nothing_else() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret sesame","error_codes":[7000215],"trace_id":"x"}"#;
        let error = token(&reply(401, body), 0).unwrap_err();
        assert_eq!(
            (error.kind(), error.effect()),
            (Kind::Unauthorized, Effect::None)
        );
        assert_eq!(
            error.to_string(),
            "not authorised: the credential was refused a token (status 401, invalid_client, AADSTS7000215)"
        );
        assert!(!format!("{error:?}").contains("sesame"));
    }

    #[test]
    fn refusals_are_sorted_by_remedy() {
        for (status, body, kind) in [
            (400, "", Kind::Unauthorized),
            (
                400,
                r#"{"error":"temporarily_unavailable"}"#,
                Kind::Transient,
            ),
            (403, "<html>", Kind::Unauthorized),
            (404, "", Kind::Transient),
            (410, "", Kind::Transient),
            (429, "", Kind::Throttled { retry_after: None }),
            (503, "", Kind::Transient),
            (302, "", Kind::Malformed),
        ] {
            let error = token(&reply(status, body), 0).unwrap_err();
            assert_eq!(
                (error.kind(), error.effect()),
                (kind, Effect::None),
                "{status}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(
            status in 200u16..600, body in any::<String>(), life in any::<u64>(), now in any::<u64>(),
        ) {
            let _ = token(&reply(status, &body), now);
            let body = format!(r#"{{"access_token":"t","expires_on":{life},"error_codes":[{life}]}}"#);
            let _ = token(&reply(status, &body), now);
        }
    }
}
