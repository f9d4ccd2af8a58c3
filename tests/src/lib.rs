//! The harness of the black-box tests and of the demo.
//!
//! Everything here is a real process: the `nats-server` of [`tools`], our own binaries of
//! [`binaries`], each in a folder of its own, on ports that the process chose itself. Nothing is
//! shared between two tests and nothing outlives its guard, so tests run side by side and a failed
//! one leaves its folder (and nothing else) behind.

pub mod binaries;
pub mod canary;
pub mod chaos;
pub mod clock;
pub mod cluster;
pub mod control;
pub mod dir;
pub mod emulator;
pub mod evidence;
pub mod guards;
pub mod ledger;
pub mod mongo;
pub mod nats;
pub mod oracle;
pub mod process;
pub mod proxy;
pub mod secured;
pub mod simulator;
pub mod skips;
pub mod terminal;
pub mod tools;
pub mod wait;
pub mod worker;
pub mod workspace;

pub use clock::Clock;
pub use cluster::NatsCluster;
pub use dir::TestDir;
pub use emulator::Emulator;
pub use mongo::MongoServer;
pub use nats::NatsServer;
pub use process::Process;
pub use proxy::{Proxy, Way};
pub use secured::SecuredNats;
pub use simulator::Simulator;
pub use terminal::Terminal;
pub use wait::until;
pub use worker::{Installation, Worker};
