//! Texts inside a query.

use std::fmt::Write as _;

/// A string literal for a query, quotes included: whatever `text` holds, it stays one literal.
///
/// ```
/// use iothub::query::literal;
///
/// assert_eq!(literal(r"it's a \"), r"'it\'s a \\'");
/// ```
#[must_use]
pub fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for c in text.chars() {
        match c {
            '\'' | '\\' => literal.extend(['\\', c]),
            c if c.is_control() => {
                // Control characters are below 0x10000, so four digits are enough.
                write!(literal, "\\u{:04x}", u32::from(c)).expect("a string takes any text");
            }
            c => literal.push(c),
        }
    }
    literal.push('\'');
    literal
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_backslashes_and_control_characters_are_escaped() {
        assert_eq!(literal(""), "''");
        assert_eq!(literal("a'b\\c\"d\n\u{85}ü"), r#"'a\'b\\c"d\u000a\u0085ü'"#);
    }

    /// What a reader of the query language makes of a literal, if the literal is all there is.
    fn read(literal: &str) -> Option<String> {
        let mut rest = literal.strip_prefix('\'')?.chars();
        let mut text = String::new();
        loop {
            match rest.next()? {
                '\'' => return rest.next().is_none().then_some(text),
                '\\' => match rest.next()? {
                    'u' => {
                        let digits: String = rest.by_ref().take(4).collect();
                        text.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                    }
                    c => text.push(c),
                },
                c => text.push(c),
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_and_nothing_escapes(text in any::<String>()) {
            prop_assert_eq!(read(&literal(&text)), Some(text));
        }
    }
}
