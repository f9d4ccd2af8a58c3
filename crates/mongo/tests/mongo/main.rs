//! The store against a server that speaks MongoDB's protocol.
//!
//! What is checked here is what only the server can answer: who wins a compare-and-set, what
//! time it is, and what is left after it was killed. Where there is no such server, every test
//! says that it was skipped.

mod conformance;
mod crashes;
mod installation;
mod integrations;
mod interception;
mod security;
mod setup;
mod step_down;
