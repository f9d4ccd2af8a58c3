//! What a query says, once it is understood.

use serde_json::Value;

use super::functions::Function;

/// A whole query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    /// Most rows in all pages together.
    pub(crate) top: Option<usize>,
    pub(crate) select: Select,
    pub(crate) source: Source,
    pub(crate) filter: Option<Expr>,
    pub(crate) group_by: Vec<Path>,
}

/// The collection a query reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Device twins.
    Devices,
    /// Module twins.
    Modules,
    /// What jobs did to each device.
    Jobs,
}

/// What is wanted of each row, or of all of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Select {
    /// `*`
    All,
    /// Columns.
    Columns(Vec<Column>),
}

/// One column of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) value: ColumnValue,
}

/// Where a column comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ColumnValue {
    /// A value of each row.
    Expr(Expr),
    /// A value over many rows; `COUNT()` has no argument.
    Aggregate(Aggregate, Option<Expr>),
}

/// The functions over many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregate {
    Count,
    Avg,
    Sum,
    Min,
    Max,
}

impl Select {
    /// Whether there is an aggregate in it.
    pub(crate) fn aggregates(&self) -> bool {
        let aggregate = |it: &Column| matches!(it.value, ColumnValue::Aggregate(..));
        matches!(self, Self::Columns(columns) if columns.iter().any(aggregate))
    }
}

/// An attribute, as the keys on the way to it. Names of built-in fields are spelled as the service
/// spells them, however the query did.
pub(crate) type Path = Vec<String>;

/// An expression. Chains of `AND` and `OR` are flat, so that long ones are not deep.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Literal(Value),
    /// The word `undefined`.
    Undefined,
    Path(Path),
    List(Vec<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    Call(Function, Vec<Expr>),
}

/// Operators between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    In,
    NotIn,
}
