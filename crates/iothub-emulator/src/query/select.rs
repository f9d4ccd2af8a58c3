//! From rows to lines of the answer: columns, and aggregates over groups.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::ast::{Aggregate, Column, ColumnValue, Query, Select};
use super::eval::{eval, order};
use super::functions::number;
use super::rows::Row;

/// The chosen columns of a row, as JSON. What is undefined is left out.
pub(crate) fn project(columns: &[Column], row: &impl Row) -> String {
    let value = |column: &Column| match &column.value {
        ColumnValue::Expr(expr) => eval(expr, row).map(Cow::into_owned),
        ColumnValue::Aggregate(..) => None,
    };
    line(columns, columns.iter().map(value))
}

fn line(columns: &[Column], values: impl Iterator<Item = Option<Value>>) -> String {
    let cells = columns.iter().map(|it| it.name.as_str()).zip(values);
    let cells = Line(
        cells
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
    );
    serde_json::to_string(&cells).expect("text keys and plain values always serialize")
}

/// Columns in the order of the query.
struct Line<'a>(Vec<(&'a str, Value)>);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// What has been gathered of all rows seen so far.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// By the text of their keys, which also puts them in an order that never changes.
    groups: BTreeMap<String, Group>,
}

#[derive(Debug)]
struct Group {
    keys: Vec<Option<Value>>,
    /// One for each column; idle for those that are keys.
    gathered: Vec<Gathered>,
}

#[derive(Debug, Clone, Default)]
struct Gathered {
    count: u64,
    sum: f64,
    least: Option<Value>,
    most: Option<Value>,
}

impl Groups {
    /// Adds a row to its group.
    pub(crate) fn add(&mut self, query: &Query, row: &impl Row) {
        let Select::Columns(columns) = &query.select else {
            return;
        };
        let keys = query
            .group_by
            .iter()
            .map(|path| row.get(path).map(Cow::into_owned));
        let keys: Vec<Option<Value>> = keys.collect();
        let name = serde_json::to_string(&keys).unwrap_or_default();
        let group = self.groups.entry(name).or_insert_with(|| Group {
            keys,
            gathered: vec![Gathered::default(); columns.len()],
        });
        for (column, gathered) in columns.iter().zip(&mut group.gathered) {
            match &column.value {
                ColumnValue::Aggregate(_, None) => gathered.count += 1,
                ColumnValue::Aggregate(kind, Some(argument)) => {
                    if let Some(value) = eval(argument, row) {
                        gathered.add(*kind, &value);
                    }
                }
                ColumnValue::Expr(_) => {}
            }
        }
    }

    /// One line for each group; without groups there is one line even if there was no row.
    pub(crate) fn finish(mut self, query: &Query) -> Vec<String> {
        let Select::Columns(columns) = &query.select else {
            return vec![];
        };
        if query.group_by.is_empty() && self.groups.is_empty() {
            let gathered = vec![Gathered::default(); columns.len()];
            let keys = vec![];
            self.groups.insert(String::new(), Group { keys, gathered });
        }
        let render = |group: Group| {
            let values =
                columns
                    .iter()
                    .zip(&group.gathered)
                    .map(|(column, gathered)| match &column.value {
                        ColumnValue::Aggregate(kind, _) => gathered.value(*kind),
                        ColumnValue::Expr(super::ast::Expr::Path(path)) => {
                            let at = query.group_by.iter().position(|it| it == path)?;
                            group.keys.get(at).cloned().flatten()
                        }
                        ColumnValue::Expr(_) => None,
                    });
            line(columns, values)
        };
        self.groups.into_values().map(render).collect()
    }
}

impl Gathered {
    fn add(&mut self, kind: Aggregate, value: &Value) {
        if kind == Aggregate::Count {
            self.count += 1;
            return;
        }
        // Only numbers have a sum; the least and the most may be of anything that has an order.
        if let Some(summand) = value.as_f64() {
            self.sum += summand;
            self.count += 1;
        }
        let beats = |best: &Option<Value>, wanted| {
            best.as_ref()
                .is_none_or(|best| order(value, best) == Some(wanted))
        };
        if beats(&self.least, std::cmp::Ordering::Less) {
            self.least = Some(value.clone());
        }
        if beats(&self.most, std::cmp::Ordering::Greater) {
            self.most = Some(value.clone());
        }
    }

    fn value(&self, kind: Aggregate) -> Option<Value> {
        #[expect(clippy::cast_precision_loss, reason = "there are fewer rows than 2^53")]
        let count = self.count as f64;
        match kind {
            Aggregate::Count => Some(Value::from(self.count)),
            Aggregate::Sum => number(self.sum).map(Cow::into_owned),
            Aggregate::Avg if self.count == 0 => None,
            Aggregate::Avg => number(self.sum / count).map(Cow::into_owned),
            Aggregate::Min => self.least.clone(),
            Aggregate::Max => self.most.clone(),
        }
    }
}
