//! Offers the HTTP APIs of Mender's iot-manager, so that the Mender server and its web UI work
//! unchanged with ours in its place.
//!
//! There are two: the internal one, which Mender's workflows call when a device changes, and the
//! management one, which the web UI calls through Mender's gateway. Paths, status codes and error
//! texts are iot-manager's (Mender server, `backend/services/iot-manager`), since clients look at
//! them; what it does behind them is behind the traits of [`ports`].
//!
//! A 202 is a promise: [`ports::Intake::store`] has returned by then. Requests are matched and their
//! bodies read by hand, because a framework would merge the two slashes of Mender's empty tenant,
//! insist on a content type, and answer with errors of its own.

mod api;
mod body;
mod claims;
mod connection_string;
mod credentials;
mod device;
mod events;
mod integrations;
mod internal;
mod json;
mod management;
mod pem;
pub mod ports;
mod preauth;
mod query;
mod reply;
mod request_id;
mod route;
mod server;
mod state;
mod watch;

pub use api::{Api, Limits};
pub use connection_string::{MASK, masked};
pub use route::{Offered, routes};
pub use server::{Sockets, serve};
pub use watch::{Answered, Watch};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
