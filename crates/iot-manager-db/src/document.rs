//! Fields of documents that may hold anything.

use lifecycle::TenantId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{RawBinaryRef, RawBsonRef, RawDocument};
use uuid::Uuid;

use crate::sealed::Unreadable;

/// Characters of an id that is not understood, for people to find it by.
const SHOWN: usize = 128;

/// Why a document was left out. Repeats nothing of it but names of fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A field is missing, of another type, or damaged.
    #[error("its field `{0}` is not as iot-manager writes it")]
    Field(&'static str),
    /// No hub but something else: AWS, a webhook, what nobody knows.
    #[error("it is for another provider than Azure IoT Hub")]
    OtherProvider,
    /// The credential is not there in clear, nor does it open.
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    /// The credential is of another algorithm.
    #[error("its credential is sealed by an algorithm that is not known")]
    Algorithm,
    /// The connection string is a device's, or leads through a gateway.
    #[error("its connection string is not that of a hub's shared access policy")]
    NotAPolicy,
    /// The device's id is none that a hub takes.
    #[error("its id is none that Azure IoT Hub takes")]
    NotADevice,
    /// The device was never provisioned anywhere.
    #[error("it is in no integration")]
    NoIntegration,
    /// The device is in more than one integration.
    #[error("it is in more than one integration")]
    SeveralIntegrations,
}

/// A field, if it is there; what cannot be read is not.
pub(crate) fn field<'a>(
    document: &'a RawDocument,
    name: &'static str,
) -> Result<Option<RawBsonRef<'a>>, Reason> {
    let found = document.get(name).map_err(|_| Reason::Field(name))?;
    Ok(found.filter(|value| !matches!(value, RawBsonRef::Null | RawBsonRef::Undefined)))
}

/// A text; the empty one where there is none.
pub(crate) fn text<'a>(document: &'a RawDocument, name: &'static str) -> Result<&'a str, Reason> {
    match field(document, name)? {
        None => Ok(""),
        Some(value) => value.as_str().ok_or(Reason::Field(name)),
    }
}

/// A text that becomes part of a header or URL.
pub(crate) fn plain<'a>(document: &'a RawDocument, name: &'static str) -> Result<&'a str, Reason> {
    let text = text(document, name)?;
    let odd = |c: char| c.is_control() || c == ';';
    if text.is_empty() || text.contains(odd) {
        return Err(Reason::Field(name));
    }
    Ok(text)
}

pub(crate) fn document<'a>(
    of: &'a RawDocument,
    name: &'static str,
) -> Result<&'a RawDocument, Reason> {
    let found = field(of, name)?.and_then(RawBsonRef::as_document);
    found.ok_or(Reason::Field(name))
}

/// The tenant that a document is of; the empty one where it names none.
pub(crate) fn tenant(document: &RawDocument) -> Result<TenantId, Reason> {
    let name = "tenant_id";
    text(document, name)?
        .parse()
        .map_err(|_| Reason::Field(name))
}

/// A UUID in any of the forms that iot-manager reads.
pub(crate) fn uuid(value: RawBsonRef<'_>) -> Option<Uuid> {
    let RawBinaryRef { subtype, bytes, .. } = value.as_binary()?;
    match subtype {
        BinarySubtype::Uuid | BinarySubtype::UuidOld | BinarySubtype::Generic => {
            Uuid::from_slice(bytes).ok()
        }
        _ => None,
    }
}

/// Something to call a document by, whatever its id is.
pub(crate) fn name(document: &RawDocument) -> String {
    match document.get("_id") {
        Ok(Some(RawBsonRef::String(text))) => text.chars().take(SHOWN).collect(),
        Ok(Some(value)) => match (uuid(value), value.as_object_id()) {
            (Some(uuid), _) => uuid.to_string(),
            (_, Some(id)) => id.to_hex(),
            _ => format!("an id of type {:?}", value.element_type()),
        },
        Ok(None) | Err(_) => "no id".to_owned(),
    }
}
