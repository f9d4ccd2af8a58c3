//! The adapters against a real nats-server, one for each test.
//!
//! What is checked here is what only the server can answer: who wins a compare-and-set, when a
//! schedule fires, what is stored once although it was published twice.

mod advisories;
mod conformance;
mod dead_letters;
mod devices;
mod ingest;
mod installation;
mod intake;
mod integrations;
mod no_room;
mod setup;
mod streams;
mod sweeps;
