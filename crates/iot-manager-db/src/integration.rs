//! Integrations: whose, for which provider, and the key of the hub.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lifecycle::TenantId;
use mongodb::bson::{RawBsonRef, RawDocument};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::document::{self, Reason};
use crate::sealed::{self, Protection};
use crate::{Key, Unreadable};

/// The provider that is for us.
const PROVIDER: &str = "iot-hub";
/// Its only type of credentials.
const TYPE: &str = "sas";
/// The only algorithm there is.
const ALGORITHM: &str = "AES_256_CFB_HMAC_SHA512";
/// Longest description, in characters, as iot-manager's API has it.
const DESCRIPTION: usize = 1024;

/// An integration of a tenant, as far as it is understood.
#[derive(Debug)]
pub struct Integration {
    /// What to call it: its id, whatever that is.
    pub name: String,
    /// The tenant, if it names one that can be.
    pub tenant: Option<TenantId>,
    /// The hub, or why there is none.
    pub hub: Result<HubKey, Reason>,
}

/// The key of a hub.
pub struct HubKey {
    /// Its id, which rows of devices name.
    pub id: Uuid,
    /// Host of the hub; not compared with any list yet.
    pub host: String,
    /// The shared access policy.
    pub policy: String,
    /// The policy's key, in base64.
    pub key: Zeroizing<String>,
    /// How the key was stored.
    pub protection: Protection,
    /// What its owner wrote about it.
    pub description: String,
}

impl fmt::Debug for HubKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubKey")
            .field("id", &self.id)
            .field("host", &self.host)
            .field("policy", &self.policy)
            .field("key", &"***")
            .finish_non_exhaustive()
    }
}

impl Integration {
    /// Reads a document of the collection `integrations`.
    #[must_use]
    pub fn read(document: &RawDocument, keys: &[Key]) -> Self {
        let tenant = document::tenant(document);
        let hub = match &tenant {
            Ok(_) => hub(document, keys),
            Err(reason) => Err(reason.clone()),
        };
        Self {
            name: document::name(document),
            tenant: tenant.ok(),
            hub,
        }
    }
}

fn hub(document: &RawDocument, keys: &[Key]) -> Result<HubKey, Reason> {
    if document::text(document, "provider")? != PROVIDER {
        return Err(Reason::OtherProvider);
    }
    let id = document::field(document, "_id")?.and_then(document::uuid);
    let id = id.ok_or(Reason::Field("_id"))?;
    let credentials = document::document(document, "credentials")?;
    if document::text(credentials, "type")? != TYPE {
        return Err(Reason::Field("type"));
    }
    let string = document::document(credentials, "connection_string")?;
    for device in ["gateway_hostname", "device_id", "module_id"] {
        if !document::text(string, device)?.is_empty() {
            return Err(Reason::NotAPolicy);
        }
    }
    let host = document::plain(string, "hostname")?.trim_end_matches('.');
    let (key, protection) = key(string, keys)?;
    Ok(HubKey {
        id,
        host: host.to_owned(),
        policy: document::plain(string, "name")?.to_owned(),
        key: Zeroizing::new(STANDARD.encode(&key)),
        protection,
        description: description(document),
    })
}

/// The key, from where all releases put it.
fn key(string: &RawDocument, keys: &[Key]) -> Result<(Zeroizing<Vec<u8>>, Protection), Reason> {
    let name = "access_key";
    let data = match document::field(string, name)? {
        None => return Err(Unreadable::Empty.into()),
        Some(RawBsonRef::Document(sealed)) => {
            if document::text(sealed, "algorithm")? != ALGORITHM {
                return Err(Reason::Algorithm);
            }
            document::field(sealed, "data")?.and_then(RawBsonRef::as_binary)
        }
        Some(_) => None,
    };
    let data = data.ok_or(Reason::Field(name))?;
    Ok(sealed::open(data.bytes, keys)?)
}

/// It only helps people, so what is odd about it is left out.
fn description(document: &RawDocument) -> String {
    let text = document::text(document, "description").unwrap_or_default();
    text.chars().take(DESCRIPTION).collect()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{Binary, Bson, Document, RawDocumentBuf, doc};

    use super::*;
    use crate::sealed::tests::{WITH_MAIN, bytes, main};

    fn binary(bytes: &[u8], subtype: BinarySubtype) -> Bson {
        let bytes = bytes.to_vec();
        Binary { subtype, bytes }.into()
    }

    fn sealed() -> Document {
        doc! {"algorithm": ALGORITHM, "data": binary(&bytes(WITH_MAIN), BinarySubtype::Generic)}
    }

    /// As iot-manager writes it.
    fn stored() -> Document {
        doc! {
            "_id": binary(&[7; 16], BinarySubtype::Uuid),
            "provider": "iot-hub",
            "credentials": {"type": "sas", "connection_string": {
                "hostname": "h.azure-devices.net", "name": "mender", "access_key": sealed(),
            }},
            "description": "the plant",
            "tenant_id": "t1",
            "$scope": "deviceauth",
        }
    }

    fn read(document: &Document) -> Integration {
        let raw = RawDocumentBuf::try_from(document).unwrap();
        Integration::read(&raw, &[main()])
    }

    fn reason(document: &Document) -> Reason {
        read(document).hub.unwrap_err()
    }

    /// The document with one field replaced, deep in it.
    fn with(path: &str, value: impl Into<Bson>) -> Document {
        let mut document = stored();
        let mut place = &mut document;
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                place.insert(name, value);
                break;
            }
            place = place.get_document_mut(name).unwrap();
        }
        document
    }

    #[test]
    fn what_iot_manager_wrote_is_read() {
        let read = read(&stored());
        assert_eq!(read.tenant.unwrap().as_str(), "t1");
        let hub = read.hub.unwrap();
        assert_eq!(
            (hub.host.as_str(), hub.policy.as_str()),
            ("h.azure-devices.net", "mender")
        );
        assert_eq!(hub.id, Uuid::from_bytes([7; 16]));
        assert_eq!(
            hub.key.as_str(),
            STANDARD.encode(b"0123456789abcdef0123456789ABCDEF")
        );
        assert_eq!(
            (hub.protection, hub.description.as_str()),
            (Protection::Sealed, "the plant")
        );
        assert!(!format!("{hub:?}").contains(hub.key.as_str()));
    }

    #[test]
    fn without_a_tenant_it_is_of_the_empty_one_and_ids_may_have_older_types() {
        let mut document = with("_id", binary(&[7; 16], BinarySubtype::UuidOld));
        document.remove("tenant_id");
        let read = read(&document);
        assert_eq!(read.tenant.unwrap().as_str(), "");
        assert!(read.hub.is_ok());
    }

    #[test]
    fn what_is_not_as_iot_manager_writes_it_is_left_out_with_the_reason() {
        let string = "credentials.connection_string";
        let key = &format!("{string}.access_key");
        let field = Reason::Field;
        for (path, value, expected) in [
            ("provider", Bson::from("webhook"), Reason::OtherProvider),
            ("provider", Bson::from("iot-core"), Reason::OtherProvider),
            ("provider", Bson::Null, Reason::OtherProvider),
            ("provider", Bson::from(7), field("provider")),
            ("tenant_id", Bson::from(7), field("tenant_id")),
            (
                "tenant_id",
                Bson::from("x".repeat(1_000_000)),
                field("tenant_id"),
            ),
            ("_id", Bson::from("not a uuid"), field("_id")),
            ("_id", binary(&[7; 15], BinarySubtype::Uuid), field("_id")),
            (
                "credentials",
                Bson::from("correcthorse"),
                field("credentials"),
            ),
            ("credentials.type", Bson::from("aws"), field("type")),
            (string, Bson::Array(vec![]), field("connection_string")),
            (
                &format!("{string}.hostname"),
                Bson::from(""),
                field("hostname"),
            ),
            (
                &format!("{string}.hostname"),
                Bson::from("h\0evil"),
                field("hostname"),
            ),
            (
                &format!("{string}.hostname"),
                Bson::from("h;DeviceId=x"),
                field("hostname"),
            ),
            (
                &format!("{string}.name"),
                Bson::from("p\r\nX: y"),
                field("name"),
            ),
            (&format!("{string}.name"), Bson::Null, field("name")),
            (
                &format!("{string}.device_id"),
                Bson::from("d"),
                Reason::NotAPolicy,
            ),
            (
                &format!("{string}.gateway_hostname"),
                Bson::from("g"),
                Reason::NotAPolicy,
            ),
            (key, Bson::from("clear as text"), field("access_key")),
            (key, Bson::Null, Reason::Unreadable(Unreadable::Empty)),
            (
                &format!("{key}.algorithm"),
                Bson::from("ROT13"),
                Reason::Algorithm,
            ),
            (
                &format!("{key}.data"),
                Bson::from("text"),
                field("access_key"),
            ),
            (
                &format!("{key}.data"),
                binary(&[1; 200], BinarySubtype::Generic),
                Reason::Unreadable(Unreadable::WrongKey),
            ),
        ] {
            assert_eq!(reason(&with(path, value)), expected, "{path}");
        }
    }

    #[test]
    fn bytes_that_are_no_document_inside_are_left_out_and_panic_nothing() {
        let good = RawDocumentBuf::try_from(&stored()).unwrap().into_bytes();
        for place in 4..good.len() - 1 {
            for value in [0x00, 0x01, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[place] = value;
                let Ok(raw) = RawDocument::from_bytes(&bad) else {
                    continue;
                };
                let _ = Integration::read(raw, &[main()]).hub.is_ok();
            }
        }
    }
}
