//! Sends signed messages to URLs that somebody else has named.
//!
//! The signatures are those of Standard Webhooks 1.0.0
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>),
//! which receivers have libraries for. iot-manager signs the body alone (`X-Men-Signature`), so whoever
//! has seen a request can repeat it for ever; here time and id are signed as well, and nothing weaker is
//! sent beside it.
//!
//! A URL is called only if it is HTTPS and leads to a public address, unless the configuration names
//! its host ([`AllowedHosts`]); redirects are not followed. One attempt is one request: whether and
//! when it is repeated is for the caller, who gets told what the answer says about that ([`Failure`]).

mod endpoint;
mod secret;
mod sender;
mod signature;

pub use endpoint::{AllowedHosts, Endpoint, InvalidEndpoint, MAX_URL};
pub use outbound::SetupError;
pub use secret::{InvalidSecret, Secret};
pub use sender::{Failure, Message, Options, Sender};
pub use signature::sign;
