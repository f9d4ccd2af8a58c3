//! HTTP clients for hosts that somebody else has named: a hub, the receiver of a webhook.
//!
//! A server that calls whatever it is told to can be led to the machines next to it. So the clients
//! made here look at each address before they connect to it ([`GuardedResolver`]), follow no
//! redirect, use no proxy, repeat nothing, and know one TLS stack. Which names may be called at all
//! is for those who use it. A host that is given as an address is never resolved: ask
//! [`is_public`] about it.

mod client;
mod resolve;
mod tls;

pub use client::{Options, SetupError, client_builder};
pub use resolve::{AddressRefused, GuardedResolver, Lookup, System, is_public};
