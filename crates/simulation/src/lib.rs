//! Plays the production reconciler against servers that fail in every way they can, by seed.
//!
//! The whole of a run is one thread: workers that die and stand still, a work queue, a store of
//! records, hubs, deviceauth, deviceconfig and the sweep, under a clock that jumps to the next thing
//! to happen. Every choice comes from the seed, so a run that breaks something breaks it again.
//! [`run::play`] plays one; the program of this crate plays many.
//!
//! What must hold is in `oracle` (always) and `rest` (when nothing is left to do). That the oracle
//! sees anything is shown by [`mutant`]s, each of which it must catch.
//!
//! # What is simplified
//!
//! - A request takes effect within the time-out of its caller, or never: what Azure does too, as far
//!   as is known. Between the end of a request's life and that of its lease lie five seconds, and
//!   the servers' clocks jump by less.
//! - The store is put back to an older copy only while no worker runs, and for longer than a request
//!   lives. What it has forgotten by that is forgotten: of those devices only S1, S7, S9, S10 and the end
//!   are judged.
//! - The intake is a copy of what `jetstream` does: messages that were delivered too often become dead
//!   letters unhandled.

mod brief;
mod case;
mod chronicle;
mod deeds;
mod hands;
mod hub;
mod landing;
pub mod ledger;
mod life;
mod lists;
mod mender;
mod mood;
pub mod mutant;
mod operators;
mod oracle;
mod play;
mod port;
pub mod profile;
mod queue;
mod rest;
mod rng;
pub mod run;
mod script;
mod store;
mod streams;
mod worker;
mod world;
