//! Drives the production core through every interleaving of workers, messages and faults.
//!
//! `lifecycle::next` decides; the reconciler's handler saves, performs and feeds back. This crate
//! plays that handler one step at a time ([`state::Worker`]) against a store, a hub and streams that
//! fail in every way they can, and lets stateright explore all orders. What must hold is in
//! [`rule`]; that the rules can be broken at all is shown by [`mutant`]s.
//!
//! # What is simplified, and why that loses nothing
//!
//! - **Time** is a count of ticks. A request is sent, takes effect and is answered between two
//!   ticks; its lease is one tick or two. All that the core asks of time is whether a lease has
//!   expired, a wait is over, or a send comes too late, and each of these can happen before or after
//!   anything else. A request takes effect before the tick at which its lease ends, never at it: that
//!   is the margin which the time-out of at most half a lease leaves. With one tick all requests of a
//!   tick expire together; the scenarios with two ticks have requests that overlap.
//! - **A tick passes** only if somebody waits for it. It cuts off nobody: a worker that gives up
//!   waiting, or is too slow to send, does so as a fault of its own, which runs out. So each run
//!   ends, and whoever goes round in circles is found by the number of saves or ticks.
//! - **Workers' clocks** are lower bounds of the servers' time. They are exact, or behind by as much
//!   as the stamps of message and record allow (`behind`). Anything between is a mixture of the two.
//! - **Dropped requests** are requests that never take effect until their lease ends; a lost reply is
//!   a time-out followed by the effect. Both need no action of their own.
//! - **Decisions** are taken together with the access to anything shared that they follow, since
//!   nobody can see them. Reading the hub is one step, dated before the read.
//! - **Workers** are alike, so they are kept in an order of their own, and so are devices with the
//!   same script. Devices share nothing but time, faults and the integration.
//! - **Names** of intents, ETags and generations are numbers in the order of their making.
//!
//! # What is not covered
//!
//! - **A copy of the store from before a device's first record.** A wake-up that meets it finds no
//!   record to change by compare-and-set, and is lost until the next sweep.
//! - **A roll-back of the store while workers run.** Here it stops them and takes longer than a
//!   request lives. What the store has forgotten by it is forgotten: only S1, S7, S10, the keys of S5
//!   and the end are judged then.
//! - **An event's second outcome.** The first one counts; a redelivery after newer events may report
//!   another one.

pub mod action;
mod deed;
mod hub;
pub mod model;
pub mod mutant;
mod perform;
pub mod rule;
pub mod run;
pub mod scenario;
pub mod scenarios;
pub mod shared;
pub mod state;
mod turn;
