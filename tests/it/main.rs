//! Black-box tests of the real binaries against a real nats-server, one file for each theme.

mod emulator;
mod harness;
mod workspace;
