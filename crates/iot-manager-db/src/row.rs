//! Rows of devices.

use lifecycle::{DeviceId, TenantId};
use mongodb::bson::{RawBsonRef, RawDocument};
use uuid::Uuid;

use crate::document::{self, Reason};

/// A device that iot-manager has provisioned.
#[derive(Debug)]
pub struct Row {
    /// What to call it: its id, whatever that is.
    pub name: String,
    /// The tenant, if it names one that can be.
    pub tenant: Option<TenantId>,
    /// The device and its integration, or why there is none.
    pub device: Result<(DeviceId, Uuid), Reason>,
}

impl Row {
    /// Reads a document of the collection `devices`.
    #[must_use]
    pub fn read(document: &RawDocument) -> Self {
        let tenant = document::tenant(document);
        let device = match &tenant {
            Ok(_) => device(document),
            Err(reason) => Err(reason.clone()),
        };
        Self {
            name: document::name(document),
            tenant: tenant.ok(),
            device,
        }
    }
}

fn device(document: &RawDocument) -> Result<(DeviceId, Uuid), Reason> {
    let id = document::text(document, "_id")?.parse();
    Ok((id.map_err(|_| Reason::NotADevice)?, integration(document)?))
}

/// The only integration of a device.
fn integration(document: &RawDocument) -> Result<Uuid, Reason> {
    let name = "integration_ids";
    let Some(value) = document::field(document, name)? else {
        return Err(Reason::NoIntegration);
    };
    let all = value.as_array().ok_or(Reason::Field(name))?;
    let mut found = None;
    for id in all {
        let id = id
            .ok()
            .as_ref()
            .and_then(|id: &RawBsonRef<'_>| document::uuid(*id));
        let id = id.ok_or(Reason::Field(name))?;
        if found.replace(id).is_some_and(|other| other != id) {
            return Err(Reason::SeveralIntegrations);
        }
    }
    found.ok_or(Reason::NoIntegration)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{Binary, Bson, Document, RawDocumentBuf, doc};

    use super::*;

    fn id(fill: u8) -> Bson {
        let (subtype, bytes) = (BinarySubtype::Uuid, vec![fill; 16]);
        Binary { subtype, bytes }.into()
    }

    fn read(document: &Document) -> Row {
        Row::read(&RawDocumentBuf::try_from(document).unwrap())
    }

    #[test]
    fn what_iot_manager_wrote_is_read() {
        let row = read(&doc! {"_id": "d1", "tenant_id": "", "integration_ids": [id(7)]});
        assert_eq!(row.tenant.unwrap().as_str(), "");
        let (device, integration) = row.device.unwrap();
        assert_eq!(
            (device.as_str(), integration),
            ("d1", Uuid::from_bytes([7; 16]))
        );
    }

    #[test]
    fn what_is_not_as_iot_manager_writes_it_is_left_out_with_the_reason() {
        let field = Reason::Field;
        let ids = || Bson::Array(vec![id(7)]);
        for (key, ids, expected) in [
            (Bson::from("a;b"), ids(), Reason::NotADevice),
            (Bson::from(".."), ids(), Reason::NotADevice),
            (Bson::from("d\0"), ids(), Reason::NotADevice),
            (Bson::from("x".repeat(2_000_000)), ids(), Reason::NotADevice),
            (
                Bson::from(ObjectId::from_bytes([9; 12])),
                ids(),
                field("_id"),
            ),
            (Bson::from("d"), Bson::Null, Reason::NoIntegration),
            (Bson::from("d"), Bson::Array(vec![]), Reason::NoIntegration),
            (
                Bson::from("d"),
                Bson::from("text"),
                field("integration_ids"),
            ),
            (
                Bson::from("d"),
                Bson::Array(vec![7.into()]),
                field("integration_ids"),
            ),
            (
                Bson::from("d"),
                Bson::Array(vec![id(7), id(8)]),
                Reason::SeveralIntegrations,
            ),
        ] {
            let row = read(&doc! {"_id": key, "tenant_id": "t", "integration_ids": ids});
            assert_eq!(row.device.unwrap_err(), expected, "{}", row.name);
            assert!(row.name.chars().count() <= 128);
        }
        let twice = read(&doc! {"_id": "d", "integration_ids": [id(7), id(7)]});
        assert!(twice.device.is_ok(), "the same one twice is one");
        let other = read(&doc! {"_id": "d", "tenant_id": [1], "integration_ids": [id(7)]});
        assert_eq!(other.device.unwrap_err(), field("tenant_id"));
        assert_eq!(
            read(&doc! {"_id": ObjectId::from_bytes([9; 12])}).name,
            "09".repeat(12)
        );
    }
}
