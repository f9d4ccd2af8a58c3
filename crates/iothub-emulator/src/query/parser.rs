//! From tokens to a query, by recursive descent.
//!
//! Two counters keep hostile texts harmless: how deep expressions are nested, and how many
//! arithmetic operators stand in a row, because each of them makes the tree one level deeper.

mod expressions;

use super::ast::{Aggregate, Column, ColumnValue, Expr, Path, Query, Select, Source};
use super::lexer::{Token, tokens};
use super::{Syntax, fields};

/// What a query may use beyond what is documented for twins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Dialect {
    /// Every function that is documented anywhere.
    #[default]
    AllFunctions,
    /// Only the functions known to work on twins.
    TwinFunctions,
}

/// Words that cannot be names of columns or attributes.
const KEYWORDS: [&str; 17] = [
    "select", "top", "from", "where", "group", "by", "as", "and", "or", "not", "in", "nin", "true",
    "false", "null", "order", "join",
];

/// Understands a query.
pub(crate) fn parse(text: &str, dialect: Dialect) -> Result<Query, Syntax> {
    let mut parser = Parser::new(text, dialect)?;
    parser.word("select")?;
    let top = if parser.takes_word("top") {
        Some(parser.count()?)
    } else {
        None
    };
    let select = parser.select()?;
    parser.word("from")?;
    let source = parser.source()?;
    let filter = parser.filter()?;
    let group_by = parser.group_by()?;
    parser.takes(";");
    parser.end()?;
    let query = Query {
        top,
        select,
        source,
        filter,
        group_by,
    };
    check(&query)?;
    Ok(query)
}

/// Understands a condition as jobs and configurations have it: `*`, the part after `WHERE`, or
/// that with `FROM devices.modules WHERE` before it.
pub(crate) fn parse_condition(
    text: &str,
    dialect: Dialect,
) -> Result<(Source, Option<Expr>), Syntax> {
    let mut parser = Parser::new(text, dialect)?;
    if parser.takes("*") {
        parser.end()?;
        return Ok((Source::Devices, None));
    }
    let (source, filter) = if parser.takes_word("from") {
        (parser.source()?, parser.filter()?)
    } else {
        (Source::Devices, Some(parser.expression()?))
    };
    parser.end()?;
    if source == Source::Jobs {
        return Err(Syntax("a condition is about devices or modules"));
    }
    Ok((source, filter))
}

/// The rules about what goes together.
fn check(query: &Query) -> Result<(), Syntax> {
    if query.source == Source::Jobs && (query.select != Select::All || !query.group_by.is_empty()) {
        return Err(Syntax("jobs are only selected whole"));
    }
    let Select::Columns(columns) = &query.select else {
        return if query.group_by.is_empty() {
            Ok(())
        } else {
            Err(Syntax("groups need columns"))
        };
    };
    if !query.select.aggregates() && query.group_by.is_empty() {
        return Ok(());
    }
    let grouped = |column: &Column| match &column.value {
        ColumnValue::Aggregate(..) => true,
        ColumnValue::Expr(Expr::Path(path)) => query.group_by.contains(path),
        ColumnValue::Expr(_) => false,
    };
    if columns.iter().all(grouped) {
        Ok(())
    } else {
        Err(Syntax("a column is neither an aggregate nor a group"))
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    dialect: Dialect,
}

impl Parser {
    fn new(text: &str, dialect: Dialect) -> Result<Self, Syntax> {
        Ok(Self {
            tokens: tokens(text)?,
            next: 0,
            depth: 0,
            dialect,
        })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    /// Takes a symbol if it comes next.
    fn takes(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(it)) if *it == symbol);
        self.next += usize::from(found);
        found
    }

    /// Takes a keyword if it comes next.
    fn takes_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(it)) if it.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn symbol(&mut self, symbol: &str) -> Result<(), Syntax> {
        self.takes(symbol)
            .then_some(())
            .ok_or(Syntax("a symbol is missing"))
    }

    fn word(&mut self, word: &str) -> Result<(), Syntax> {
        self.takes_word(word)
            .then_some(())
            .ok_or(Syntax("a keyword is missing"))
    }

    fn end(&self) -> Result<(), Syntax> {
        self.peek()
            .is_none()
            .then_some(())
            .ok_or(Syntax("something follows the end"))
    }

    /// The number after `TOP`.
    fn count(&mut self) -> Result<usize, Syntax> {
        let Some(Token::Number(number)) = self.peek() else {
            return Err(Syntax("TOP needs a number"));
        };
        let text = number.to_string();
        self.next += 1;
        text.parse().map_err(|_| Syntax("TOP needs a whole number"))
    }

    fn select(&mut self) -> Result<Select, Syntax> {
        if self.takes("*") {
            return Ok(Select::All);
        }
        let mut columns = vec![self.column()?];
        while self.takes(",") {
            columns.push(self.column()?);
        }
        Ok(Select::Columns(columns))
    }

    fn column(&mut self) -> Result<Column, Syntax> {
        let aggregate = self.aggregate()?;
        let is_aggregate = aggregate.is_some();
        let value = match aggregate {
            Some(value) => value,
            None => ColumnValue::Expr(self.expression()?),
        };
        let alias = if self.takes_word("as") {
            Some(self.name()?)
        } else {
            None
        };
        let own = match &value {
            ColumnValue::Expr(Expr::Path(path)) => path.last().cloned(),
            _ => None,
        };
        let name = alias.or_else(|| own.filter(|_| !is_aggregate));
        let name = name.ok_or(Syntax("a computed column needs a name"))?;
        Ok(Column { name, value })
    }

    fn aggregate(&mut self) -> Result<Option<ColumnValue>, Syntax> {
        let Some(Token::Word(word)) = self.peek() else {
            return Ok(None);
        };
        let kind = match word.to_ascii_lowercase().as_str() {
            "count" => Aggregate::Count,
            "avg" => Aggregate::Avg,
            "sum" => Aggregate::Sum,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            _ => return Ok(None),
        };
        if self.tokens.get(self.next + 1) != Some(&Token::Symbol("(")) {
            return Ok(None);
        }
        self.next += 2;
        let argument = if kind == Aggregate::Count {
            self.takes("*");
            if self.takes(")") {
                return Ok(Some(ColumnValue::Aggregate(kind, None)));
            }
            self.expression()?
        } else {
            self.expression()?
        };
        self.symbol(")")?;
        Ok(Some(ColumnValue::Aggregate(kind, Some(argument))))
    }

    fn source(&mut self) -> Result<Source, Syntax> {
        self.word("devices")?;
        if !self.takes(".") {
            return Ok(Source::Devices);
        }
        if self.takes_word("modules") {
            Ok(Source::Modules)
        } else if self.takes_word("jobs") {
            Ok(Source::Jobs)
        } else {
            Err(Syntax("no such collection"))
        }
    }

    fn filter(&mut self) -> Result<Option<Expr>, Syntax> {
        if self.takes_word("where") {
            return self.expression().map(Some);
        }
        Ok(None)
    }

    fn group_by(&mut self) -> Result<Vec<Path>, Syntax> {
        let mut paths = vec![];
        if self.takes_word("group") {
            self.word("by")?;
            paths.push(self.path()?);
            while self.takes(",") {
                paths.push(self.path()?);
            }
        }
        Ok(paths)
    }

    /// A name that is no keyword.
    fn name(&mut self) -> Result<String, Syntax> {
        let Some(Token::Word(word)) = self.peek() else {
            return Err(Syntax("a name is missing"));
        };
        if KEYWORDS.iter().any(|it| it.eq_ignore_ascii_case(word)) {
            return Err(Syntax("a keyword is no name"));
        }
        let word = word.clone();
        self.next += 1;
        Ok(word)
    }

    /// Names with dots between them. After a dot keywords are names like any other.
    fn path(&mut self) -> Result<Path, Syntax> {
        let mut path = vec![self.name()?];
        while self.takes(".") {
            match self.peek() {
                Some(Token::Word(name) | Token::Key(name)) => path.push(name.clone()),
                _ => return Err(Syntax("a name is missing after a dot")),
            }
            self.next += 1;
        }
        Ok(fields::canonical(path))
    }
}
