//! From text to tokens.

use std::iter::Peekable;
use std::str::Chars;

use super::{MAX_LENGTH, Syntax};

/// The smallest piece of a query that means something.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A keyword or a name.
    Word(String),
    /// A name in double brackets, which may hold anything.
    Key(String),
    Number(f64),
    Text(String),
    Symbol(&'static str),
}

/// The symbols, longer ones before their own beginnings.
const SYMBOLS: [&str; 19] = [
    "!=", "<>", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".",
    ";",
];

/// Splits a query into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Syntax> {
    if text.chars().count() > MAX_LENGTH {
        return Err(Syntax("the query is too long"));
    }
    let mut tokens = vec![];
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let after_dot = tokens.last() == Some(&Token::Symbol("."));
        let (token, length) = if after_dot && rest.starts_with("[[") {
            key(rest)?
        } else if first.is_alphabetic() || matches!(first, '_' | '$') {
            word(rest)
        } else if first.is_ascii_digit()
            || (first == '.' && second_is_digit(rest) && !names(&tokens))
        {
            number(rest)?
        } else if matches!(first, '\'' | '"') {
            string(rest, first)?
        } else {
            symbol(rest)?
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// Whether the last token ends a name, so that a dot goes on with it.
fn names(tokens: &[Token]) -> bool {
    matches!(tokens.last(), Some(Token::Word(_) | Token::Key(_)))
}

fn second_is_digit(text: &str) -> bool {
    text.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
}

fn key(text: &str) -> Result<(Token, usize), Syntax> {
    let end = text.find("]]").ok_or(Syntax("[[ without ]]"))?;
    let name = &text[2..end];
    if name.is_empty() {
        return Err(Syntax("an empty name in brackets"));
    }
    Ok((Token::Key(name.to_owned()), end + 2))
}

fn word(text: &str) -> (Token, usize) {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let end = text.find(|c| !inside(c)).unwrap_or(text.len());
    (Token::Word(text[..end].to_owned()), end)
}

fn number(text: &str) -> Result<(Token, usize), Syntax> {
    let bytes = text.as_bytes();
    let digits = |from: usize, known: fn(&u8) -> bool| {
        bytes[from..].iter().take_while(|it| known(it)).count()
    };
    if bytes[0] == b'0' && matches!(bytes.get(1), Some(b'x' | b'X')) {
        let length = digits(2, u8::is_ascii_hexdigit);
        let value = u32::from_str_radix(&text[2..2 + length], 16);
        let value = value.map_err(|_| Syntax("a hexadecimal number out of range"))?;
        return Ok((Token::Number(f64::from(value)), 2 + length));
    }
    let mut end = digits(0, u8::is_ascii_digit);
    if bytes.get(end) == Some(&b'.') {
        end += 1 + digits(end + 1, u8::is_ascii_digit);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits((end + 1 + sign).min(bytes.len()), u8::is_ascii_digit);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    let value: f64 = text[..end].parse().map_err(|_| Syntax("not a number"))?;
    if !value.is_finite() {
        return Err(Syntax("a number out of range"));
    }
    Ok((Token::Number(value), end))
}

fn string(text: &str, quote: char) -> Result<(Token, usize), Syntax> {
    let mut value = String::new();
    let mut chars = text[1..].chars().peekable();
    let left = |chars: &Peekable<Chars<'_>>| chars.clone().map(char::len_utf8).sum::<usize>();
    while let Some(c) = chars.next() {
        if c == quote {
            return Ok((Token::Text(value), text.len() - left(&chars)));
        }
        if c != '\\' {
            value.push(c);
            continue;
        }
        value.push(match chars.next() {
            Some(c @ ('\'' | '"' | '\\' | '/')) => c,
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => unicode(&mut chars)?,
            _ => return Err(Syntax("an unknown escape in a string")),
        });
    }
    Err(Syntax("a string without an end"))
}

/// Four hexadecimal digits, or twice four of them for characters beyond the first plane.
fn unicode(chars: &mut Peekable<Chars<'_>>) -> Result<char, Syntax> {
    let bad = Syntax("not a character");
    let mut unit = || {
        let digit = |chars: &mut Peekable<Chars<'_>>| chars.next().and_then(|c| c.to_digit(16));
        (0..4)
            .try_fold(0, |sum, _| Some(sum * 16 + digit(chars)?))
            .ok_or(bad)
    };
    let high = unit()?;
    if !(0xD800..0xDC00).contains(&high) {
        return char::from_u32(high).ok_or(bad);
    }
    if (chars.next(), chars.next()) != (Some('\\'), Some('u')) {
        return Err(bad);
    }
    let digit = |chars: &mut Peekable<Chars<'_>>| chars.next().and_then(|c| c.to_digit(16));
    let low = (0..4)
        .try_fold(0, |sum, _| Some(sum * 16 + digit(chars)?))
        .ok_or(bad)?;
    let low = low
        .checked_sub(0xDC00)
        .filter(|it| *it < 0x400)
        .ok_or(bad)?;
    char::from_u32(0x1_0000 + (high - 0xD800) * 0x400 + low).ok_or(bad)
}

fn symbol(text: &str) -> Result<(Token, usize), Syntax> {
    let found = SYMBOLS.into_iter().find(|it| text.starts_with(it));
    let found = found.ok_or(Syntax("an unknown character"))?;
    Ok((Token::Symbol(found), found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Token {
        Token::Word(text.to_owned())
    }

    #[test]
    fn words_symbols_and_numbers_are_told_apart() {
        assert_eq!(
            tokens("tags.a>=1.5e2 AND x != 0xFF-.5").unwrap(),
            [
                word("tags"),
                Token::Symbol("."),
                word("a"),
                Token::Symbol(">="),
                Token::Number(150.0),
                word("AND"),
                word("x"),
                Token::Symbol("!="),
                Token::Number(255.0),
                Token::Symbol("-"),
                Token::Number(0.5),
            ]
        );
    }

    #[test]
    fn names_in_brackets_hold_anything_but_only_after_a_dot() {
        assert_eq!(
            tokens("configurations.[[my id-1]].status").unwrap()[2],
            Token::Key("my id-1".to_owned())
        );
        assert_eq!(tokens("[[1]]").unwrap().len(), 5);
        assert!(tokens("a.[[b").is_err() && tokens("a.[[]]").is_err());
    }

    #[test]
    fn strings_have_two_quotes_and_escapes() {
        let text = |query: &str| tokens(query).unwrap().remove(0);
        assert_eq!(text(r#"'a"b\'c'"#), Token::Text(r#"a"b'c"#.to_owned()));
        assert_eq!(text(r#""a'b\"\\""#), Token::Text(r#"a'b"\"#.to_owned()));
        assert_eq!(
            text(r"'\u00fc\ud83d\ude00ü'"),
            Token::Text("ü😀ü".to_owned())
        );
        for bad in ["'a", r"'\x'", r"'\u00g0'", r"'\ud83dx'", r"'\udc00'", "'\\"] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn whatever_else_there_is_is_refused() {
        for bad in ["a & b", "a ? b", "0x", "1e999", "{", "`a`"] {
            assert!(tokens(bad).is_err(), "{bad}");
        }
        assert!(tokens(&"a".repeat(MAX_LENGTH)).is_ok());
        assert!(tokens(&"a".repeat(MAX_LENGTH + 1)).is_err());
    }
}
