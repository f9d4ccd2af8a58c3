//! Patterns with `*`, which stands for any text, slashes included.

/// Whether `text` is what `pattern` describes, from its first to its last character.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The earliest place leaves the most text for what follows, so no going back is needed.
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text) in [
            ("/devices/*", "/devices/a/b"),
            ("/devices/*", "/devices/"),
            ("*", ""),
            ("*/d*1", "/devices/d-11"),
            ("/twins/d1", "/twins/d1"),
            ("a**b", "axb"),
            ("*ab", "aab"),
        ] {
            assert!(matches(pattern, text), "{pattern} should match {text}");
        }
    }

    #[test]
    fn everything_else_must_be_there_once_and_in_order() {
        for (pattern, text) in [
            ("/devices/*", "/twins/a"),
            ("/twins/d1", "/twins/d10"),
            ("*a", "ab"),
            ("a*a", "a"),
            ("ab*ba", "aba"),
            ("", "x"),
        ] {
            assert!(!matches(pattern, text), "{pattern} should not match {text}");
        }
    }
}
