//! The database `iot_manager` as iot-manager writes it, and as nobody should.

use anyhow::Result;
use futures::TryStreamExt as _;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::{Client, Collection, Database};

/// The key of the hub's policy: `0123456789abcdef0123456789ABCDEF`.
pub(crate) const POLICY_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY=";
/// `passphrasewhichneedstobe32bytes!`
pub(crate) const SEALING_KEY: &str = "cGFzc3BocmFzZXdoaWNobmVlZHN0b2JlMzJieXRlcyE=";
/// The one sealed with the other; how it was made stands in `crates/iot-manager-db/src/sealed.rs`.
pub(crate) const SEALED: &str = "01000102030405060708090a0b0c0d0e0f\
    4251b5850f6be7709a9d75fb76c093a0bd98c6bf9faafdf7bd38c4ae9953cadc\
    0c58b65b273de972564490e7d26329eda73b246eaf1fa543635310ed69d790ca\
    555a76b109f64fb2202bf9477e5ebdbc4b34c0e198ddbf484430dabbffa0647e";

/// The old database.
pub(crate) struct Old(Database);

impl Old {
    pub(crate) async fn new(uri: &str, database: &str) -> Result<Self> {
        Ok(Self(Client::with_uri_str(uri).await?.database(database)))
    }

    pub(crate) fn database(&self) -> &str {
        self.0.name()
    }

    /// A hub of a tenant, whose policy `mender` has this key.
    pub(crate) async fn integration(
        &self,
        tenant: &str,
        id: u8,
        host: &str,
        key: Bson,
    ) -> Result<()> {
        let string = doc! {
            "hostname": host,
            "name": "mender",
            "access_key": {"algorithm": "AES_256_CFB_HMAC_SHA512", "data": key},
        };
        let integration = doc! {
            "_id": uuid(id),
            "provider": "iot-hub",
            "credentials": {"type": "sas", "connection_string": string},
            "tenant_id": tenant,
        };
        self.insert("integrations", integration).await
    }

    pub(crate) async fn webhook(&self, tenant: &str, id: u8) -> Result<()> {
        let webhook = doc! {
            "_id": uuid(id),
            "provider": "webhook",
            "credentials": {"type": "http", "http": {"url": "http://h.example"}},
            "tenant_id": tenant,
        };
        self.insert("integrations", webhook).await
    }

    pub(crate) async fn row(&self, device: &str, tenant: &str, integrations: &[u8]) -> Result<()> {
        let ids: Vec<Bson> = integrations.iter().map(|id| uuid(*id)).collect();
        let row = doc! {"_id": device, "tenant_id": tenant, "integration_ids": ids};
        self.insert("devices", row).await
    }

    /// Documents that iot-manager never wrote.
    pub(crate) async fn hostile(&self) -> Result<()> {
        let rows = [
            doc! {"_id": ObjectId::from_bytes([9; 12]), "tenant_id": 7, "integration_ids": "x"},
            doc! {"_id": 7, "tenant_id": ["t"], "integration_ids": {"a": [1, {"b": 2}]}},
            doc! {"_id": "nul\0", "tenant_id": "", "integration_ids": [uuid(1)], "more": {"deep": [[[]]]}},
            doc! {"_id": "\u{1b}[31mred", "tenant_id": "x".repeat(100_000)},
        ];
        for row in rows {
            self.insert("devices", row).await?;
        }
        let odd =
            doc! {"_id": "odd", "tenant_id": "t9", "provider": "iot-hub", "credentials": "no"};
        self.insert("integrations", odd).await
    }

    /// Everything in it.
    pub(crate) async fn everything(&self) -> Result<Vec<(String, Vec<Document>)>> {
        let mut names = self.0.list_collection_names().await?;
        names.sort();
        let mut all = Vec::new();
        for name in names {
            let found = self.collection(&name).find(doc! {}).await?;
            all.push((name, found.try_collect().await?));
        }
        Ok(all)
    }

    async fn insert(&self, collection: &str, document: Document) -> Result<()> {
        self.collection(collection).insert_one(document).await?;
        Ok(())
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.0.collection(name)
    }
}

fn uuid(fill: u8) -> Bson {
    let (subtype, bytes) = (BinarySubtype::Uuid, vec![fill; 16]);
    Binary { subtype, bytes }.into()
}

/// A key as it is stored if iot-manager has one to seal with.
pub(crate) fn sealed(hex: &str) -> Bson {
    let digits: Vec<_> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).unwrap_or_default();
    let (subtype, bytes) = (BinarySubtype::Generic, digits.chunks(2).map(byte).collect());
    Binary { subtype, bytes }.into()
}

/// The policy's key as it is stored if it has none.
pub(crate) fn clear() -> Bson {
    let bytes = b"0123456789abcdef0123456789ABCDEF".to_vec();
    let subtype = BinarySubtype::Generic;
    Binary { subtype, bytes }.into()
}
