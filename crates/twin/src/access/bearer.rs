//! Finds the token in a request.

use async_nats::HeaderMap;

/// The header, in any spelling: NATS tells `Authorization` from `authorization`, people do not.
const AUTHORIZATION: &str = "Authorization";
const SCHEME: &str = "Bearer";

/// The token of `Authorization: Bearer <token>`. None if there is no such header, or more than
/// one: which of them counts must not be a matter of taste. Other headers about who somebody is,
/// such as `X-MEN-…`, are the caller's own words and are not looked at.
pub(super) fn token(headers: Option<&HeaderMap>) -> Option<&str> {
    let mut values = headers?
        .iter()
        .filter(|(name, _)| AsRef::<str>::as_ref(*name).eq_ignore_ascii_case(AUTHORIZATION))
        .flat_map(|(_, values)| values.iter());
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.as_str().split_once(' ')?;
    let is_one_word = !token.is_empty() && !token.contains(char::is_whitespace);
    (scheme.eq_ignore_ascii_case(SCHEME) && is_one_word).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[(&str, &str)], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, *value);
        }
        assert_eq!(token(Some(&headers)), expected, "{lines:?}");
    }

    #[test]
    fn there_is_one_header_with_two_words() {
        check(&[("Authorization", "Bearer a.b.c")], Some("a.b.c"));
        check(&[("authorization", "bearer a.b.c")], Some("a.b.c"));
        check(&[], None);
        check(&[("Authorization", "a.b.c")], None);
        check(&[("Authorization", "Basic a.b.c")], None);
        check(&[("Authorization", "Bearer ")], None);
        check(&[("Authorization", "Bearer a b")], None);
        check(&[("X-MEN-Authorization", "Bearer a.b.c")], None);
        assert_eq!(token(None), None);
    }

    #[test]
    fn of_two_headers_none_counts() {
        check(
            &[("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
            None,
        );
        check(
            &[("Authorization", "Bearer a"), ("AUTHORIZATION", "Bearer a")],
            None,
        );
    }
}
