//! The parameters behind the `?`.

use percent_encoding::percent_decode_str;

/// The first value of a parameter, decoded.
pub(crate) fn value(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = query?
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.find(|(key, _)| decoded(key) == name)?;
    Some(decoded(value))
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_and_is_decoded() {
        let query = Some("a=1&%62=x%20y+z&b=2&c");
        assert_eq!(value(query, "b").as_deref(), Some("x y z"));
        assert_eq!(value(query, "c").as_deref(), Some(""));
        assert_eq!(value(query, "d"), None);
        assert_eq!(value(None, "a"), None);
    }
}
