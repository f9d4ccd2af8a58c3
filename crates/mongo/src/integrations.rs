//! Integrations, one document each, as opaque bytes.
//!
//! What is in them is sealed before it comes here.

use futures::TryStreamExt as _;
use lifecycle::{TenantId, decode_token};
use mongodb::Collection;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use reconciler::ports::{IntegrationStore, PortError, PortResult, Saved};

use crate::connect::{called, within};
use crate::document::{ID, VERSION, version};
use crate::error::is_duplicate;
use crate::{Error, Mongo, versions};

const COLLECTION: &str = "integrations";
const SEALED: &str = "sealed";

/// The store of integrations, in MongoDB.
#[derive(Debug, Clone)]
pub struct MongoIntegrations {
    documents: Collection<Document>,
}

impl MongoIntegrations {
    /// Opens the collection. It has no index of its own, so there is nothing to set up.
    #[must_use]
    pub fn open(mongo: &Mongo) -> Self {
        Self {
            documents: mongo.collection(COLLECTION),
        }
    }
}

impl IntegrationStore for MongoIntegrations {
    async fn load(&self, tenant: &TenantId) -> PortResult<Option<(Vec<u8>, u64)>> {
        let find = self.documents.find_one(doc! {ID: tenant.to_token()});
        let Some(found) = called("read an integration", find).await? else {
            return Ok(None);
        };
        let read = found.get_binary_generic(SEALED).ok().cloned();
        let read = read.zip(version(&found)).map(Some);
        let other = || PortError::NotUnderstood("an integration has another form".to_owned());
        read.ok_or_else(other)
    }

    async fn save(
        &self,
        tenant: &TenantId,
        sealed: &[u8],
        version: Option<u64>,
    ) -> PortResult<Saved> {
        let bytes = sealed.to_vec();
        let sealed = Binary {
            subtype: BinarySubtype::Generic,
            bytes,
        };
        let key = tenant.to_token();
        let Some(version) = version else {
            let first = versions::first()?;
            let document = doc! {ID: key, VERSION: first, SEALED: sealed};
            let insert = self.documents.insert_one(document);
            return match within("save an integration", insert).await? {
                Ok(_) => Ok(Saved::Version(first.unsigned_abs())),
                Err(error) if is_duplicate(&error) => Ok(Saved::Lost),
                Err(error) => Err(Error::unavailable("save an integration", &error).into()),
            };
        };
        let Some(replaced) = versions::stored(version) else {
            return Ok(Saved::Lost);
        };
        let change = doc! {"$set": {SEALED: sealed}, "$inc": {VERSION: 1_i64}};
        let update = self
            .documents
            .update_one(doc! {ID: key, VERSION: replaced}, change);
        let matched = called("save an integration", update).await?.matched_count;
        Ok(if matched == 0 {
            Saved::Lost
        } else {
            Saved::Version(version + 1)
        })
    }

    async fn remove(&self, tenant: &TenantId, version: u64) -> PortResult<Saved> {
        let Some(stored) = versions::stored(version) else {
            return Ok(Saved::Lost);
        };
        let filter = doc! {ID: tenant.to_token(), VERSION: stored};
        let remove = self.documents.delete_one(filter);
        let removed = called("remove an integration", remove).await?.deleted_count;
        Ok(if removed == 0 {
            Saved::Lost
        } else {
            Saved::Version(version)
        })
    }

    async fn list(&self) -> PortResult<Vec<TenantId>> {
        let find = async {
            let found = self.documents.find(doc! {}).sort(doc! {ID: 1});
            let found = found.projection(doc! {ID: 1}).await?;
            found.try_collect::<Vec<Document>>().await
        };
        let found = called("list integrations", find).await?;
        Ok(found.iter().filter_map(tenant).collect())
    }
}

fn tenant(document: &Document) -> Option<TenantId> {
    let key = document.get_str(ID).ok()?;
    let tenant = decode_token(key)
        .ok()
        .and_then(|tenant| tenant.parse().ok());
    if tenant.is_none() {
        tracing::warn!(
            key,
            "a document in the collection of integrations is not a tenant's"
        );
    }
    tenant
}
