//! Seals secrets at rest with AES-256-GCM, under keys that can be rotated.
//!
//! Whoever steals or edits the store must gain nothing: an envelope ([`Sealed`]) opens only with a
//! key of the operator's, and only for the [`Scope`] it was sealed for. A bit flipped, a record moved
//! to another tenant, a host name changed beside it: none of it opens.
//!
//! ```
//! use ring::rand::SystemRandom;
//! use sealing::{Keyring, Scope};
//!
//! let keys: Keyring = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".parse()?;
//! let scope = Scope { tenant: "t1", purpose: "hub-credential", beside: b"hub.example" };
//! let sealed = keys.seal(scope, b"sesame", &SystemRandom::new())?;
//! assert_eq!(keys.open(scope, &sealed)?.as_slice(), b"sesame");
//!
//! let elsewhere = Scope { tenant: "t2", ..scope };
//! assert!(keys.open(elsewhere, &sealed).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rotation
//!
//! A [`Keyring`] holds one key that seals and any number that only open. To rotate, a new key is put
//! in front, every envelope is opened and sealed again, and the old key is removed once no envelope
//! names it. An envelope names its key, so this can stop and go on at any point.
//!
//! There is no second level of keys (a key-encryption key that wraps one data key for each record).
//! It pays where re-encrypting is dear. Here a record holds one credential of a few hundred bytes:
//! sealing it anew costs what wrapping its key anew would, and there is one step less to get wrong.
//! Nonces are random: with 96 bits, 2^32 envelopes under one key stay below a chance of 2^-32 that
//! two share one (NIST SP 800-38D, 8.3). A fleet has as many envelopes as it has tenants.
//!
//! No clock, no I/O, no own randomness: it comes in as an argument.

mod envelope;
mod keys;

pub use envelope::{Scope, SealError, Sealed};
pub use keys::{KeyError, KeyId, Keyring, MAX_KEYS};
