//! How a device proves itself: symmetric keys, X.509 thumbprints, and who makes them up.
//!
//! A caller that says nothing about keys gets new ones, on an update too, which locks the device
//! out. That is what the real service does and what a client must be tested against.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::errors::ServiceError;

/// Sizes of a symmetric key, in bytes after base64.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// Two keys the hub made up, ready in case they are needed.
#[derive(Clone)]
pub(crate) struct FreshKeys {
    pub(crate) primary: String,
    pub(crate) secondary: String,
}

impl fmt::Debug for FreshKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreshKeys(..)")
    }
}

/// The kinds of proof the service knows for devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum AuthenticationType {
    /// Symmetric keys.
    Sas,
    /// Self-signed X.509, by thumbprint.
    SelfSigned,
    /// X.509 from a registered authority.
    CertificateAuthority,
    /// Nothing at all; only ever seen on the modules of the edge runtime.
    None,
}

/// `authentication` as a caller sends it.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuthenticationDraft {
    #[serde(rename = "type")]
    kind: Option<String>,
    symmetric_key: Option<KeyPair>,
    x509_thumbprint: Option<Thumbprints>,
}

impl fmt::Debug for AuthenticationDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationDraft")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl AuthenticationDraft {
    /// The same with `none` turned into `sas`, as the service does for modules without a word.
    pub(crate) fn with_none_as_sas(mut self) -> Self {
        if self.kind.as_deref() == Some("none") {
            self.kind = Some("sas".to_owned());
        }
        self
    }
}

/// The two symmetric keys, as base64 text that is echoed byte for byte.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyPair {
    pub(crate) primary_key: Option<String>,
    pub(crate) secondary_key: Option<String>,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(..)")
    }
}

/// The two certificate thumbprints, case kept as given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Thumbprints {
    pub(crate) primary_thumbprint: Option<String>,
    pub(crate) secondary_thumbprint: Option<String>,
}

/// A stored `authentication`; its serialized form is the wire form.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Authentication {
    pub(crate) symmetric_key: KeyPair,
    pub(crate) x509_thumbprint: Thumbprints,
    #[serde(rename = "type")]
    pub(crate) kind: AuthenticationType,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Authentication {
    /// What the modules of the edge runtime have.
    pub(crate) fn none() -> Self {
        Self {
            symmetric_key: KeyPair::default(),
            x509_thumbprint: Thumbprints::default(),
            kind: AuthenticationType::None,
        }
    }

    /// The keys that a device may sign its tokens with; none if it proves itself otherwise.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let pair = &self.symmetric_key;
        let keys = [&pair.primary_key, &pair.secondary_key].into_iter();
        let signs = self.kind == AuthenticationType::Sas;
        keys.filter_map(|key| key.as_deref())
            .filter(move |key| signs && !key.is_empty())
    }

    /// Whether this is one of them.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.keys().any(|it| it == key)
    }

    /// A draft that means exactly this.
    pub(crate) fn as_draft(&self) -> AuthenticationDraft {
        let kind = match self.kind {
            AuthenticationType::Sas => "sas",
            AuthenticationType::SelfSigned => "selfSigned",
            AuthenticationType::CertificateAuthority => "certificateAuthority",
            AuthenticationType::None => "none",
        };
        AuthenticationDraft {
            kind: Some(kind.to_owned()),
            symmetric_key: Some(self.symmetric_key.clone()),
            x509_thumbprint: Some(self.x509_thumbprint.clone()),
        }
    }
}

/// A checked wish for `authentication`: both keys or none, all of them well-formed.
#[derive(Clone)]
pub(crate) struct AuthenticationEdit {
    kind: AuthenticationType,
    keys: Option<KeyPair>,
    thumbprints: Thumbprints,
}

impl fmt::Debug for AuthenticationEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationEdit")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl AuthenticationEdit {
    /// Applies the rules; no draft at all means symmetric keys of the hub's making.
    pub(crate) fn check(draft: Option<AuthenticationDraft>) -> Result<Self, ServiceError> {
        let draft = draft.unwrap_or_default();
        let keys = check_keys(draft.symmetric_key.unwrap_or_default())?;
        let thumbprints = check_thumbprints(draft.x509_thumbprint.unwrap_or_default())?;
        let kind = match draft.kind.as_deref() {
            Some("sas") => AuthenticationType::Sas,
            Some("selfSigned") => AuthenticationType::SelfSigned,
            Some("certificateAuthority") => AuthenticationType::CertificateAuthority,
            Some("none") => return Err(ServiceError::invalid("DeviceAuthenticationTypeIsMissing")),
            Some(_) => {
                return Err(ServiceError::invalid(
                    "The authentication type is not known.",
                ));
            }
            None if keys.is_none() && thumbprints != Thumbprints::default() => {
                AuthenticationType::SelfSigned
            }
            None => AuthenticationType::Sas,
        };
        Ok(Self {
            kind,
            keys,
            thumbprints,
        })
    }

    /// What gets stored. Only `sas` needs keys: it takes `fresh` ones when the caller sent none;
    /// the other types keep whatever the device had before.
    pub(crate) fn resolve(
        self,
        before: Option<&Authentication>,
        fresh: FreshKeys,
    ) -> Authentication {
        let symmetric_key = match (self.keys, self.kind) {
            (Some(keys), _) => keys,
            (None, AuthenticationType::Sas) => KeyPair {
                primary_key: Some(fresh.primary),
                secondary_key: Some(fresh.secondary),
            },
            (None, _) => before
                .map(|before| before.symmetric_key.clone())
                .unwrap_or_default(),
        };
        Authentication {
            symmetric_key,
            x509_thumbprint: self.thumbprints,
            kind: self.kind,
        }
    }
}

/// Empty text counts as missing: the Node SDK creates devices that way.
fn present(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn check_keys(pair: KeyPair) -> Result<Option<KeyPair>, ServiceError> {
    match (present(pair.primary_key), present(pair.secondary_key)) {
        (None, None) => Ok(None),
        (Some(primary), Some(secondary)) => {
            check_key(&primary)?;
            check_key(&secondary)?;
            Ok(Some(KeyPair {
                primary_key: Some(primary),
                secondary_key: Some(secondary),
            }))
        }
        _ => Err(ServiceError::invalid(
            "Either no keys or both keys can be set",
        )),
    }
}

fn check_key(text: &str) -> Result<(), ServiceError> {
    let Ok(bytes) = STANDARD.decode(text) else {
        return Err(ServiceError::invalid(
            "The device key is not a valid base64 string",
        ));
    };
    if KEY_BYTES.contains(&bytes.len()) {
        Ok(())
    } else {
        Err(ServiceError::invalid("Invalid device key length"))
    }
}

fn check_thumbprints(pair: Thumbprints) -> Result<Thumbprints, ServiceError> {
    let checked = Thumbprints {
        primary_thumbprint: present(pair.primary_thumbprint),
        secondary_thumbprint: present(pair.secondary_thumbprint),
    };
    let sound = |text: &String| {
        matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if [&checked.primary_thumbprint, &checked.secondary_thumbprint]
        .into_iter()
        .flatten()
        .all(sound)
    {
        Ok(checked)
    } else {
        Err(ServiceError::invalid("StringIsNotThumbprint"))
    }
}

#[cfg(test)]
#[path = "authentication_tests.rs"]
mod tests;
