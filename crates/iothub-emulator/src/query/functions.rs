//! The functions an expression may call.
//!
//! For twins only `IS_DEFINED` is documented and `ARRAY_CONTAINS` is known to be used; the others
//! are documented for message routing, and whether the service takes them for twins is open.

use serde_json::Value;

use super::rows::{Datum, owned};

/// A function, named as in the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    IsDefined,
    ArrayContains,
    IsNull,
    IsBool,
    IsNumber,
    IsString,
    IsArray,
    IsObject,
    IsPrimitive,
    StartsWith,
    EndsWith,
    Contains,
    IndexOf,
    Length,
    Lower,
    Upper,
    Concat,
    Substring,
    Abs,
    Ceiling,
    Floor,
    Sign,
    Sqrt,
    Square,
    Exp,
    Power,
}

/// Names, functions and how many arguments they take.
const TABLE: [(&str, Function, usize, usize); 28] = [
    ("IS_DEFINED", Function::IsDefined, 1, 1),
    ("ARRAY_CONTAINS", Function::ArrayContains, 2, 2),
    ("IS_NULL", Function::IsNull, 1, 1),
    ("IS_BOOL", Function::IsBool, 1, 1),
    ("IS_NUMBER", Function::IsNumber, 1, 1),
    ("IS_STRING", Function::IsString, 1, 1),
    ("IS_ARRAY", Function::IsArray, 1, 1),
    ("IS_OBJECT", Function::IsObject, 1, 1),
    ("IS_PRIMITIVE", Function::IsPrimitive, 1, 1),
    ("STARTS_WITH", Function::StartsWith, 2, 2),
    ("STARTSWITH", Function::StartsWith, 2, 2),
    ("ENDS_WITH", Function::EndsWith, 2, 2),
    ("ENDSWITH", Function::EndsWith, 2, 2),
    ("CONTAINS", Function::Contains, 2, 2),
    ("INDEX_OF", Function::IndexOf, 2, 2),
    ("LENGTH", Function::Length, 1, 1),
    ("LOWER", Function::Lower, 1, 1),
    ("UPPER", Function::Upper, 1, 1),
    ("CONCAT", Function::Concat, 2, 16),
    ("SUBSTRING", Function::Substring, 2, 3),
    ("ABS", Function::Abs, 1, 1),
    ("CEILING", Function::Ceiling, 1, 1),
    ("FLOOR", Function::Floor, 1, 1),
    ("SIGN", Function::Sign, 1, 1),
    ("SQRT", Function::Sqrt, 1, 1),
    ("SQUARE", Function::Square, 1, 1),
    ("EXP", Function::Exp, 1, 1),
    ("POWER", Function::Power, 2, 2),
];

impl Function {
    /// The function of this name, in any case, if it takes so many arguments.
    pub(super) fn find(name: &str, arguments: usize) -> Option<Self> {
        let row = TABLE.iter().find(|row| row.0.eq_ignore_ascii_case(name))?;
        (row.2..=row.3).contains(&arguments).then_some(row.1)
    }

    /// Whether it is known to work on twins.
    pub(super) const fn is_for_twins(self) -> bool {
        matches!(self, Self::IsDefined | Self::ArrayContains)
    }

    /// Its value; undefined for arguments it cannot take.
    pub(super) fn call(self, arguments: &[Datum<'_>]) -> Datum<'static> {
        let argument = |n: usize| arguments.get(n).and_then(|it| it.as_deref());
        let first = argument(0);
        let kind = |is: fn(&Value) -> bool| owned(first.is_some_and(is));
        match self {
            Self::IsDefined => owned(first.is_some()),
            Self::IsNull => kind(Value::is_null),
            Self::IsBool => kind(Value::is_boolean),
            Self::IsNumber => kind(Value::is_number),
            Self::IsString => kind(Value::is_string),
            Self::IsArray => kind(Value::is_array),
            Self::IsObject => kind(Value::is_object),
            Self::IsPrimitive => kind(|it| !it.is_array() && !it.is_object()),
            Self::ArrayContains => {
                let (items, wanted) = (first?.as_array()?, argument(1)?);
                owned(items.iter().any(|it| super::eval::same(it, wanted)))
            }
            Self::Abs
            | Self::Ceiling
            | Self::Floor
            | Self::Sign
            | Self::Sqrt
            | Self::Square
            | Self::Exp
            | Self::Power => self.of_numbers(first?, argument(1)),
            _ => self.of_texts(first?.as_str()?, arguments),
        }
    }

    fn of_numbers(self, first: &Value, second: Option<&Value>) -> Datum<'static> {
        let x = first.as_f64()?;
        number(match self {
            Self::Abs => x.abs(),
            Self::Ceiling => x.ceil(),
            Self::Floor => x.floor(),
            Self::Sign if x == 0.0 => 0.0,
            Self::Sign => x.signum(),
            Self::Sqrt => x.sqrt(),
            Self::Square => x * x,
            Self::Exp => x.exp(),
            _ => x.powf(second?.as_f64()?),
        })
    }

    fn of_texts(self, first: &str, arguments: &[Datum<'_>]) -> Datum<'static> {
        let argument = |n: usize| arguments.get(n).and_then(|it| it.as_deref());
        let second = || argument(1).and_then(Value::as_str);
        match self {
            Self::StartsWith => owned(first.starts_with(second()?)),
            Self::EndsWith => owned(first.ends_with(second()?)),
            Self::Contains => owned(first.contains(second()?)),
            Self::IndexOf => {
                let at = first.find(second()?);
                let count = |at| first[..at].chars().count();
                owned(at.map_or(-1, |at| i64::try_from(count(at)).unwrap_or(i64::MAX)))
            }
            Self::Length => owned(first.chars().count()),
            Self::Lower => owned(first.to_lowercase()),
            Self::Upper => owned(first.to_uppercase()),
            Self::Concat => {
                let texts = arguments.iter().map(|it| it.as_deref()?.as_str());
                owned(texts.collect::<Option<String>>()?)
            }
            Self::Substring => {
                let place = |value: &Value| value.as_f64().filter(|it| *it >= 0.0).map(index);
                let from = place(argument(1)?)?;
                let length = argument(2).map_or(Some(usize::MAX), place)?;
                owned(first.chars().skip(from).take(length).collect::<String>())
            }
            _ => None,
        }
    }
}

/// A whole number of characters; what is beyond any text stays beyond it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "negative numbers are gone, and the cast saturates"
)]
fn index(value: f64) -> usize {
    value as usize
}

/// A number as JSON would write it: whole ones without a fraction. None if it is not finite.
pub(super) fn number(value: f64) -> Datum<'static> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and fits")]
        return owned(value as i64);
    }
    serde_json::Number::from_f64(value).and_then(|it| owned(Value::Number(it)))
}
