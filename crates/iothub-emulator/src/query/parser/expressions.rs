//! Expressions, from the loosest operator to the tightest.

use serde_json::Value;

use super::{Dialect, Parser};
use crate::query::Syntax;
use crate::query::ast::{BinaryOp, Expr};
use crate::query::functions::{Function, number};
use crate::query::lexer::Token;

/// Expressions inside each other.
const MAX_DEPTH: usize = 48;
/// Arithmetic operators in a row.
const MAX_CHAIN: usize = 64;

/// Comparisons, by their symbol.
const COMPARISONS: [(&str, BinaryOp); 7] = [
    ("=", BinaryOp::Equal),
    ("!=", BinaryOp::NotEqual),
    ("<>", BinaryOp::NotEqual),
    ("<=", BinaryOp::LessOrEqual),
    (">=", BinaryOp::GreaterOrEqual),
    ("<", BinaryOp::Less),
    (">", BinaryOp::Greater),
];
const SUMS: [(&str, BinaryOp); 2] = [("+", BinaryOp::Add), ("-", BinaryOp::Subtract)];
const PRODUCTS: [(&str, BinaryOp); 3] = [
    ("*", BinaryOp::Multiply),
    ("/", BinaryOp::Divide),
    ("%", BinaryOp::Remainder),
];

impl Parser {
    /// A whole expression.
    pub(super) fn expression(&mut self) -> Result<Expr, Syntax> {
        self.deeper(Self::either)
    }

    fn deeper(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Expr, Syntax>,
    ) -> Result<Expr, Syntax> {
        if self.depth >= MAX_DEPTH {
            return Err(Syntax("the query is nested too deep"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn either(&mut self) -> Result<Expr, Syntax> {
        let mut parts = vec![self.both()?];
        while self.takes_word("or") {
            parts.push(self.both()?);
        }
        Ok(single(parts, Expr::Or))
    }

    fn both(&mut self) -> Result<Expr, Syntax> {
        let mut parts = vec![self.negation()?];
        while self.takes_word("and") {
            parts.push(self.negation()?);
        }
        Ok(single(parts, Expr::And))
    }

    fn negation(&mut self) -> Result<Expr, Syntax> {
        if self.takes_word("not") {
            let inner = self.deeper(Self::negation)?;
            return Ok(Expr::Not(Box::new(inner)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expr, Syntax> {
        let left = self.sum()?;
        if let Some(op) = self.operator(&COMPARISONS) {
            return Ok(join(op, left, self.sum()?));
        }
        let op = if self.takes_word("in") {
            BinaryOp::In
        } else if self.takes_word("nin") {
            BinaryOp::NotIn
        } else {
            return Ok(left);
        };
        if matches!(self.peek(), Some(Token::Symbol("["))) {
            return Ok(join(op, left, self.sum()?));
        }
        Err(Syntax("IN needs a list in brackets"))
    }

    fn sum(&mut self) -> Result<Expr, Syntax> {
        self.chain(&SUMS, Self::product)
    }

    fn product(&mut self) -> Result<Expr, Syntax> {
        self.chain(&PRODUCTS, Self::sign)
    }

    fn chain(
        &mut self,
        operators: &[(&str, BinaryOp)],
        part: fn(&mut Self) -> Result<Expr, Syntax>,
    ) -> Result<Expr, Syntax> {
        let mut whole = part(self)?;
        let mut length = 0;
        while let Some(op) = self.operator(operators) {
            length += 1;
            if length > MAX_CHAIN {
                return Err(Syntax("too many operators in a row"));
            }
            whole = join(op, whole, part(self)?);
        }
        Ok(whole)
    }

    fn operator(&mut self, operators: &[(&str, BinaryOp)]) -> Option<BinaryOp> {
        let found = operators.iter().find(|(symbol, _)| self.takes(symbol));
        found.map(|(_, op)| *op)
    }

    fn sign(&mut self) -> Result<Expr, Syntax> {
        if self.takes("-") {
            let inner = self.deeper(Self::sign)?;
            return Ok(Expr::Negative(Box::new(inner)));
        }
        if self.takes("+") {
            return self.deeper(Self::sign);
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Expr, Syntax> {
        if self.takes("(") {
            let inner = self.expression()?;
            self.symbol(")")?;
            return Ok(inner);
        }
        if self.takes("[") {
            return self.list("]").map(Expr::List);
        }
        let token = self.peek().ok_or(Syntax("the query breaks off"))?;
        let literal = match token {
            Token::Number(value) => number(*value).map(std::borrow::Cow::into_owned),
            Token::Text(text) => Some(Value::String(text.clone())),
            Token::Word(word) => match word.to_ascii_lowercase().as_str() {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                "null" => Some(Value::Null),
                _ => None,
            },
            Token::Key(_) | Token::Symbol(_) => return Err(Syntax("a value is missing")),
        };
        if let Some(value) = literal {
            self.next += 1;
            return Ok(Expr::Literal(value));
        }
        if self.takes_word("undefined") {
            return Ok(Expr::Undefined);
        }
        if self.tokens.get(self.next + 1) == Some(&Token::Symbol("(")) {
            return self.call();
        }
        self.path().map(Expr::Path)
    }

    fn call(&mut self) -> Result<Expr, Syntax> {
        let name = self.name()?;
        self.symbol("(")?;
        let arguments = self.list(")")?;
        let function = Function::find(&name, arguments.len()).ok_or(Syntax("no such function"))?;
        if self.dialect == Dialect::TwinFunctions && !function.is_for_twins() {
            return Err(Syntax("a function that is not for twins"));
        }
        Ok(Expr::Call(function, arguments))
    }

    /// Expressions with commas between them, up to the closing symbol.
    fn list(&mut self, close: &str) -> Result<Vec<Expr>, Syntax> {
        let mut items = vec![];
        if self.takes(close) {
            return Ok(items);
        }
        loop {
            items.push(self.expression()?);
            if self.takes(close) {
                return Ok(items);
            }
            self.symbol(",")?;
        }
    }
}

fn join(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    Expr::Binary(op, Box::new(left), Box::new(right))
}

/// One part stands for itself.
fn single(mut parts: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}
