//! The real binary, driven over TLS and over its control port as a client and a judge would.

mod bulk;
mod capacity;
mod configurations;
mod connections;
mod control;
mod device;
mod device_requests;
mod digital_twins;
mod entra;
mod exchanges;
mod faults;
mod harness;
mod hostile_devices;
mod jobs;
mod methods;
mod modules;
mod queries;
mod robustness;
mod service;
mod state;
mod throttling;
mod transfers;
