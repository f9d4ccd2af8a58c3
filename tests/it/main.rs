//! Black-box tests of the real binaries against a real nats-server, one file for each theme.

mod bad_input;
mod canary;
mod chaos;
mod client;
mod conformance;
mod device_operations;
mod devices;
mod docs;
mod emulator;
mod faults;
mod harness;
mod integrations;
mod main_job;
mod mongodb;
mod openapi;
mod operations;
mod operators;
mod permissions;
mod scenario;
mod sdk;
mod secrets;
mod stage;
mod sweep;
mod tenants;
mod twins;
mod workspace;
