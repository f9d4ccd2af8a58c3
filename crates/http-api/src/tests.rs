//! One test for each thing that the reference of the APIs says.

mod credentials;
pub(crate) mod described;
mod devices;
mod events;
mod hostile;
mod integrations;
mod preauth;
mod rules;
mod sockets;
mod states;
mod users;
