//! Connection strings, read and written.
//!
//! A connection string is `Key=Value` parts joined by `;`, and its last part is the key to a whole
//! hub. Key names are matched exactly and unknown ones are refused, as most of Azure's own clients
//! do: a misspelt name is found when the string is set up and not when the first device waits for
//! it. No error repeats a value, and a "key name" only if it is too short to be a misplaced key.

use std::str::FromStr;

use crate::credential::{Credential, SharedAccess};
use crate::device_id::{DeviceId, InvalidDeviceId};
use crate::host::HostName;
use crate::sas::{InvalidKey, SigningKey};
use crate::secret::Secret;

/// Longest connection string that is looked at, in bytes.
pub const MAX_CONNECTION_STRING: usize = 4096;
/// Shortest key, in bytes before base64.
const MIN_KEY_BYTES: usize = 16;
/// A key of 16 bytes is 22 characters of base64, so a shorter text cannot be one.
const LONGEST_NAME_SHOWN: usize = 21;
/// Longest name of a policy or module.
const MAX_NAME: usize = 128;

/// A parsed connection string. Its host is not checked yet: see [`crate::AllowedHosts::check`].
///
/// ```
/// let text = "HostName=h.azure-devices.net;SharedAccessKeyName=worker;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==";
/// let parsed: iothub::ConnectionString = text.parse()?;
/// assert_eq!(parsed.host(), "h.azure-devices.net");
/// assert_eq!(parsed.owner(), &iothub::KeyOwner::Policy("worker".into()));
/// assert!(!format!("{parsed:?}").contains("AAECAwQF"));
/// # Ok::<(), iothub::ConnectionStringError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ConnectionString {
    host: String,
    owner: KeyOwner,
    key: Secret,
    gateway: Option<String>,
}

/// Whose key a connection string holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOwner {
    /// A shared access policy of the hub, by name.
    Policy(String),
    /// A device.
    Device(DeviceId),
    /// A module of a device.
    Module(DeviceId, String),
}

/// Why a text is no connection string, or not one that serves. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// More than [`MAX_CONNECTION_STRING`] bytes.
    #[error("a connection string has at most 4096 characters")]
    TooLong,
    /// A part without `=`, or an empty part before the last.
    #[error("part {0} is not of the form Key=Value")]
    Part(usize),
    /// A key name that is not known, or not spelt exactly so.
    #[error("the key `{0}` is not known")]
    UnknownKey(String),
    /// An unknown key name that is not shown, because it could be a misplaced key.
    #[error("part {0} has an unknown key")]
    UnknownPart(usize),
    /// A form that exists but does not serve here: ready tokens end, certificates are not used.
    #[error("connection strings with `{0}` are not supported")]
    Unsupported(&'static str),
    /// The same key name twice.
    #[error("`{0}` is given twice")]
    Twice(&'static str),
    /// A necessary part is missing or empty.
    #[error("`{0}` is missing or empty")]
    Missing(&'static str),
    /// `SharedAccessKeyName` together with `DeviceId`, or a module without a device.
    #[error("exactly one of SharedAccessKeyName and DeviceId must be given")]
    Owner,
    /// The name of a policy or module holds what it may not.
    #[error("`{0}` is malformed")]
    Malformed(&'static str),
    /// The device id is none.
    #[error("`DeviceId` is malformed: {0}")]
    DeviceId(#[from] InvalidDeviceId),
    /// The key is not base64, or too short.
    #[error("`SharedAccessKey` is not base64 of at least 16 bytes")]
    Key,
    /// The id holds a `;`, which would end the part.
    #[error("a device id with `;` cannot be carried in a connection string")]
    Uncarriable,
    /// A device's string where a hub's is needed.
    #[error("the connection string belongs to a device and not to a shared access policy")]
    NotAPolicy,
}

impl ConnectionString {
    /// The host as written, not yet checked against the allow-list.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whose key it is.
    #[must_use]
    pub fn owner(&self) -> &KeyOwner {
        &self.owner
    }

    /// The key, in base64.
    #[must_use]
    pub fn key(&self) -> &Secret {
        &self.key
    }

    /// The IoT Edge gateway to connect to instead of the hub, if any.
    #[must_use]
    pub fn gateway(&self) -> Option<&str> {
        self.gateway.as_deref()
    }

    /// The credential for service calls. Only the string of a policy gives one.
    pub fn credential(&self) -> Result<Credential, ConnectionStringError> {
        let KeyOwner::Policy(policy) = &self.owner else {
            return Err(ConnectionStringError::NotAPolicy);
        };
        let key = SigningKey::from_base64(&self.key)?;
        Ok(Credential::SharedAccess(SharedAccess::new(
            policy.clone(),
            key,
        )))
    }
}

impl From<InvalidKey> for ConnectionStringError {
    fn from(_: InvalidKey) -> Self {
        Self::Key
    }
}

/// Writes the connection string that a device of this hub needs.
///
/// ```
/// # use iothub::Secret;
/// let host = "h.azure-devices.net".parse().unwrap();
/// let id = "dev-1".parse().unwrap();
/// let text = iothub::device_connection_string(&host, &id, &Secret::from("AAECAwQFBgcICQoLDA0ODw=="))?;
/// assert_eq!(text.expose(), "HostName=h.azure-devices.net;DeviceId=dev-1;SharedAccessKey=AAECAwQFBgcICQoLDA0ODw==");
/// # Ok::<(), iothub::ConnectionStringError>(())
/// ```
pub fn device_connection_string(
    host: &HostName,
    device_id: &DeviceId,
    key: &Secret,
) -> Result<Secret, ConnectionStringError> {
    if !device_id.fits_connection_string() {
        return Err(ConnectionStringError::Uncarriable);
    }
    check_key(key)?;
    Ok(Secret::from(format!(
        "HostName={host};DeviceId={device_id};SharedAccessKey={}",
        key.expose()
    )))
}

impl FromStr for ConnectionString {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Parts::split(text)?;
        let host = parts
            .take("HostName")
            .ok_or(ConnectionStringError::Missing("HostName"))?
            .to_owned();
        let key = parts
            .take("SharedAccessKey")
            .ok_or(ConnectionStringError::Missing("SharedAccessKey"))?;
        let key = Secret::from(key);
        check_key(&key)?;
        let owner = match (
            parts.take("SharedAccessKeyName"),
            parts.take("DeviceId"),
            parts.take("ModuleId"),
        ) {
            (Some(policy), None, None) => KeyOwner::Policy(name("SharedAccessKeyName", policy)?),
            (None, Some(device), None) => KeyOwner::Device(device.parse()?),
            (None, Some(device), Some(module)) => {
                KeyOwner::Module(device.parse()?, name("ModuleId", module)?)
            }
            _ => return Err(ConnectionStringError::Owner),
        };
        let gateway = parts.take("GatewayHostName").map(str::to_owned);
        Ok(Self {
            host,
            owner,
            key,
            gateway,
        })
    }
}

const KNOWN: [&str; 6] = [
    "HostName",
    "SharedAccessKeyName",
    "SharedAccessKey",
    "DeviceId",
    "ModuleId",
    "GatewayHostName",
];
const UNSUPPORTED: [&str; 2] = ["SharedAccessSignature", "x509"];

/// The parts by the place of their name in [`KNOWN`].
struct Parts<'a>([Option<&'a str>; KNOWN.len()]);

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self, ConnectionStringError> {
        if text.len() > MAX_CONNECTION_STRING {
            return Err(ConnectionStringError::TooLong);
        }
        // The portal's strings may end in `;`.
        let text = text.strip_suffix(';').unwrap_or(text);
        let mut parts = [None; KNOWN.len()];
        for (number, part) in (1..).zip(text.split(';')) {
            // Only the first `=`: base64 ends in more of them.
            let (name, value) = part
                .split_once('=')
                .ok_or(ConnectionStringError::Part(number))?;
            let Some(place) = KNOWN.iter().position(|known| *known == name) else {
                return Err(unknown(name, number));
            };
            if parts[place].replace(value).is_some() {
                return Err(ConnectionStringError::Twice(KNOWN[place]));
            }
        }
        Ok(Self(parts))
    }

    /// The value, unless it is missing or empty.
    fn take(&mut self, name: &str) -> Option<&'a str> {
        let place = KNOWN.iter().position(|known| *known == name)?;
        self.0[place].take().filter(|value| !value.is_empty())
    }
}

fn unknown(name: &str, number: usize) -> ConnectionStringError {
    if let Some(form) = UNSUPPORTED.iter().find(|form| **form == name) {
        return ConnectionStringError::Unsupported(form);
    }
    let like_a_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if like_a_name && name.len() <= LONGEST_NAME_SHOWN {
        ConnectionStringError::UnknownKey(name.to_owned())
    } else {
        ConnectionStringError::UnknownPart(number)
    }
}

fn name(part: &'static str, text: &str) -> Result<String, ConnectionStringError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-@.$:+%#*?!(),='".contains(&b);
    if text.len() <= MAX_NAME && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(ConnectionStringError::Malformed(part))
    }
}

fn check_key(key: &Secret) -> Result<(), ConnectionStringError> {
    if SigningKey::decode(key)?.len() < MIN_KEY_BYTES {
        Err(ConnectionStringError::Key)
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "connection_string_tests.rs"]
mod tests;
