//! x
pub mod action;
mod hub;
pub mod model;
pub mod mutant;
pub mod rule;
pub mod scenario;
pub mod scenarios;
pub mod shared;
pub mod state;
mod turn;
