//! What the collections need before they are used: one index.
//!
//! Records are found by their key, which MongoDB indexes anyway. The index over tenant and
//! device counts a tenant's records without reading them, serves people who look for a device
//! by its name, and is unique, so that nobody can add a second record of a device by hand.

use mongodb::IndexModel;
use mongodb::bson::doc;
use mongodb::error::ErrorKind;
use mongodb::options::IndexOptions;

use crate::connect::{called, within};
use crate::devices::COLLECTION;
use crate::document::{DEVICE, TENANT};
use crate::{Error, Mongo, Result};

const INDEX: &str = "tenant_device";
/// Code of the server's error for a collection that is not there
/// (mongodb.com, "Error Codes": `NamespaceNotFound`).
const NO_COLLECTION: i32 = 26;

/// What `setup` found or did about one index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `<database>.<collection>.<index>`.
    pub name: String,
    /// It was not there; it is now, unless this was a dry run.
    pub created: bool,
}

impl Mongo {
    /// Makes the indexes that are missing; with `dry_run` only says which those are.
    pub async fn setup(&self, dry_run: bool) -> Result<Vec<Change>> {
        self.check().await?;
        let created = !has_index(self).await?;
        if created && !dry_run {
            let options = IndexOptions::builder()
                .name(INDEX.to_owned())
                .unique(true)
                .build();
            let index = IndexModel::builder()
                .keys(doc! {TENANT: 1, DEVICE: 1})
                .options(options)
                .build();
            let records = self.collection(COLLECTION);
            called("make an index", records.create_index(index)).await?;
        }
        Ok(vec![Change {
            name: format!("{}.{COLLECTION}.{INDEX}", self.database()),
            created,
        }])
    }
}

/// Whether `setup` has been run.
pub(crate) async fn check(mongo: &Mongo) -> Result<()> {
    mongo.check().await?;
    if has_index(mongo).await? {
        return Ok(());
    }
    Err(Error::Missing {
        database: mongo.database().to_owned(),
    })
}

async fn has_index(mongo: &Mongo) -> Result<bool> {
    let records = mongo.collection(COLLECTION);
    match within("list indexes", records.list_index_names()).await? {
        Ok(names) => Ok(names.iter().any(|name| name == INDEX)),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(Error::unavailable("list indexes", &error)),
    }
}

fn is_missing(error: &mongodb::error::Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(command) if command.code == NO_COLLECTION)
}
