//! The query language: `SELECT ... FROM devices | devices.modules | devices.jobs ...`.
//!
//! Text becomes tokens, tokens become a [`Query`], and that is evaluated row by row against the
//! state, without ever turning the whole state into JSON. Length, depth and the number of operators
//! in a row are bounded, so no text can exhaust the stack. The service gives no reason for a syntax
//! error, so [`Syntax`] is only for the log.

pub(crate) mod ast;
mod eval;
mod fields;
mod functions;
mod lexer;
mod parser;
pub(crate) mod rows;
pub(crate) mod select;
pub(crate) mod token;

pub(crate) use ast::{Query, Source};
pub(crate) use eval::is_true;
pub(crate) use parser::{Dialect, parse, parse_condition};
pub(crate) use rows::TwinRow;

/// Longest query, in characters.
pub(crate) const MAX_LENGTH: usize = 8_192;

/// Why a text is not a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax(pub(crate) &'static str);

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
