//! The value of an expression for one row.
//!
//! Logic is three-valued: an attribute that is not there is undefined, and so is everything that
//! is computed from it, except where the other side of an `AND` or `OR` decides alone. Only what
//! is exactly true passes a filter. Only primitives compare; of two that differ in type one is
//! neither less nor greater, and they are not equal.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::ast::{BinaryOp, Expr};
use super::functions::number;
use super::rows::{Datum, Row, owned};
use crate::dates::Ticks;

/// Whether a row passes a filter.
pub(crate) fn is_true(filter: Option<&Expr>, row: &impl Row) -> bool {
    filter.is_none_or(|filter| truth(filter, row) == Some(true))
}

/// The value of an expression.
pub(super) fn eval<'a>(expr: &'a Expr, row: &'a impl Row) -> Datum<'a> {
    match expr {
        Expr::Literal(value) => Some(Cow::Borrowed(value)),
        Expr::Undefined => None,
        Expr::Path(path) => row.get(path),
        Expr::List(items) => {
            let items = items.iter().filter_map(|it| eval(it, row));
            Some(Cow::Owned(Value::Array(
                items.map(Cow::into_owned).collect(),
            )))
        }
        Expr::And(_) | Expr::Or(_) | Expr::Not(_) => owned(truth(expr, row)?),
        Expr::Negative(inner) => number(-eval(inner, row)?.as_f64()?),
        Expr::Binary(op, left, right) => binary(*op, left, right, row),
        Expr::Call(function, arguments) => {
            let arguments: Vec<Datum<'_>> = arguments.iter().map(|it| eval(it, row)).collect();
            function.call(&arguments)
        }
    }
}

fn truth(expr: &Expr, row: &impl Row) -> Option<bool> {
    match expr {
        Expr::And(parts) => decided(parts, row, false),
        Expr::Or(parts) => decided(parts, row, true),
        Expr::Not(inner) => truth(inner, row).map(|it| !it),
        _ => eval(expr, row)?.as_bool(),
    }
}

/// `AND` is decided by the first false, `OR` by the first true; else any undefined part leaves the
/// whole undefined.
fn decided(parts: &[Expr], row: &impl Row, decisive: bool) -> Option<bool> {
    let mut unknown = false;
    for part in parts {
        match truth(part, row) {
            Some(value) if value == decisive => return Some(decisive),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!decisive)
}

fn binary<'a>(op: BinaryOp, left: &'a Expr, right: &'a Expr, row: &'a impl Row) -> Datum<'a> {
    let left = eval(left, row)?;
    if let (BinaryOp::In | BinaryOp::NotIn, Expr::List(items)) = (op, right) {
        let found = primitive(&left)
            && items
                .iter()
                .any(|it| eval(it, row).is_some_and(|it| same(&left, &it)));
        return owned(found == (op == BinaryOp::In));
    }
    let right = eval(right, row)?;
    match op {
        BinaryOp::Add
        | BinaryOp::Subtract
        | BinaryOp::Multiply
        | BinaryOp::Divide
        | BinaryOp::Remainder => arithmetic(op, left.as_f64()?, right.as_f64()?),
        BinaryOp::In => owned(right.as_array()?.iter().any(|it| same(&left, it))),
        BinaryOp::NotIn => owned(!right.as_array()?.iter().any(|it| same(&left, it))),
        _ => compare(op, &left, &right).and_then(owned),
    }
}

fn arithmetic(op: BinaryOp, left: f64, right: f64) -> Datum<'static> {
    number(match op {
        BinaryOp::Add => left + right,
        BinaryOp::Subtract => left - right,
        BinaryOp::Multiply => left * right,
        BinaryOp::Divide => left / right,
        _ => left % right,
    })
}

fn compare(op: BinaryOp, left: &Value, right: &Value) -> Option<bool> {
    if !primitive(left) || !primitive(right) {
        return None;
    }
    match op {
        BinaryOp::Equal => Some(same(left, right)),
        BinaryOp::NotEqual => Some(!same(left, right)),
        _ => {
            let order = order(left, right)?;
            Some(match op {
                BinaryOp::Less => order.is_lt(),
                BinaryOp::LessOrEqual => order.is_le(),
                BinaryOp::Greater => order.is_gt(),
                _ => order.is_ge(),
            })
        }
    }
}

fn primitive(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// Whether two values are equal; numbers by their value, not by how they are written.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => order(left, right) == Some(Ordering::Equal),
        _ => left == right,
    }
}

/// Which of two values of one type comes first. Dates are compared as such: the service trims
/// their fractions, so their texts would sort wrongly.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        (Value::String(left), Value::String(right)) => {
            match (Ticks::parse(left), Ticks::parse(right)) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => Some(left.cmp(right)),
            }
        }
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
