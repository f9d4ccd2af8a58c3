//! The rules of the core, one test each: who wins, what is written, what is repeated, how it ends.
//!
//! Every test plays a scene through [`lifecycle::next`] alone, against a hub of one identity, so
//! that what it shows is what a worker would do.

mod crashes;
mod delivery;
mod doubts;
mod endings;
mod importing;
mod merging;
mod moves;
mod open_requests;
mod ownership;
mod properties;
mod questions;
mod recalling;
mod replays;
mod rotation;
mod scene;
mod waiting;
