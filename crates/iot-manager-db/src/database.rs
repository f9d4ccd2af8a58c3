//! The database itself. It is only ever read: there is no call that writes.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use futures::TryStreamExt as _;
use lifecycle::{DeviceId, TenantId};
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{ClientOptions, Credential, Tls, TlsOptions};
use mongodb::{Client, Collection, Cursor};
use zeroize::Zeroizing;

use crate::document;
use crate::{Error, Integration, Key, Result, Row};

const INTEGRATIONS: &str = "integrations";
const DEVICES: &str = "devices";
const ID: &str = "_id";
const TENANT: &str = "tenant_id";
/// How long to look for a server, unless the connection string says otherwise.
const SELECTION: Duration = Duration::from_secs(10);
/// How long any call may take. There is no index over tenants, so a first row may be far.
const CALL: Duration = Duration::from_secs(120);
/// Rows that the server sends at once. So few that the next are asked for long before it forgets
/// the cursor (ten minutes), however slow the hub is.
const BATCH: u32 = 100;

/// Where the database is.
pub struct Options {
    uri: Zeroizing<String>,
    database: String,
    login: Option<(String, Option<Zeroizing<String>>)>,
    tls: Option<bool>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("uri", &"***")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// A connection string, and the name of the database.
    #[must_use]
    pub fn new(uri: Zeroizing<String>, database: String) -> Self {
        Self {
            uri,
            database,
            login: None,
            tls: None,
        }
    }

    /// The same with a user, in place of the one in the connection string (`mongo_username`,
    /// `mongo_password`).
    #[must_use]
    pub fn login(mut self, user: String, password: Option<Zeroizing<String>>) -> Self {
        self.login = Some((user, password));
        self
    }

    /// The same with TLS (`mongo_ssl`), whether certificates are verified (not
    /// `mongo_ssl_skipverify`) or not.
    #[must_use]
    pub fn tls(mut self, verify: bool) -> Self {
        self.tls = Some(verify);
        self
    }

    async fn parse(&self) -> Result<ClientOptions> {
        // The driver's text may repeat a part of the password.
        let parsed = ClientOptions::parse(self.uri.as_str()).await;
        let mut parsed = parsed.map_err(|_| Error::Configuration(MALFORMED))?;
        if let Some((user, password)) = &self.login {
            let mut credential = Credential::default();
            credential.username = Some(user.clone());
            credential.password = password.as_ref().map(|password| password.to_string());
            parsed.credential = Some(credential);
        }
        if let Some(verify) = self.tls {
            let mut tls = TlsOptions::default();
            tls.allow_invalid_certificates = Some(!verify);
            parsed.tls = Some(Tls::Enabled(tls));
        }
        let patience = parsed.server_selection_timeout.get_or_insert(SELECTION);
        *patience = (*patience).min(CALL);
        parsed
            .app_name
            .get_or_insert_with(|| "mender-iothub import".to_owned());
        Ok(parsed)
    }
}

const MALFORMED: &str = "not a connection string of MongoDB, or its name cannot be looked up: \
                         mongodb://user:password@host:port/?option=value, with user and password \
                         percent-encoded";

/// iot-manager's database.
#[derive(Debug)]
pub struct Database {
    client: Client,
    name: String,
}

impl Database {
    /// Connects, and sees whether the server answers.
    pub async fn connect(options: &Options) -> Result<Self> {
        let forbidden = |c: char| "/\\. \"$*<>:|?".contains(c) || c.is_control();
        let name = options.database.clone();
        if name.is_empty() || name.len() > 63 || name.contains(forbidden) {
            return Err(Error::Configuration(
                "the name of the database is not one that MongoDB takes",
            ));
        }
        let client = Client::with_options(options.parse().await?);
        let client = client.map_err(|_| Error::Configuration(MALFORMED))?;
        let this = Self { client, name };
        let ping = this.client.database(&this.name);
        called("reach the server", ping.run_command(doc! {"ping": 1})).await?;
        Ok(this)
    }

    /// All integrations of all tenants.
    pub async fn integrations(&self, keys: &[Key]) -> Result<Vec<Integration>> {
        let what = "read the integrations";
        let all = self.collection(INTEGRATIONS);
        let mut cursor = called(what, all.find(Document::new()).batch_size(BATCH)).await?;
        let mut read = Vec::new();
        while let Some(found) = called(what, cursor.try_next()).await? {
            read.push(Integration::read(&found, keys));
        }
        Ok(read)
    }

    /// The rows of one tenant, and how many there are.
    pub async fn rows_of(&self, tenant: &TenantId) -> Result<(Rows, u64)> {
        self.rows(of(tenant)).await
    }

    /// The rows of all other tenants, and those that name none.
    pub async fn rows_of_others(&self, tenants: &[TenantId]) -> Result<(Rows, u64)> {
        let named: Vec<&str> = tenants.iter().map(TenantId::as_str).collect();
        let null = named.contains(&"").then_some(mongodb::bson::Bson::Null);
        let named = named.into_iter().map(Into::into).chain(null);
        let named: Vec<mongodb::bson::Bson> = named.collect();
        self.rows(doc! {TENANT: {"$nin": named}}).await
    }

    /// Which of these devices have a row of this tenant.
    pub async fn with_row(
        &self,
        tenant: &TenantId,
        devices: &[DeviceId],
    ) -> Result<HashSet<String>> {
        let what = "look up devices";
        let ids: Vec<&str> = devices.iter().map(DeviceId::as_str).collect();
        let mut filter = of(tenant);
        filter.insert(ID, doc! {"$in": ids});
        let rows = self.collection(DEVICES);
        let mut cursor = called(what, rows.find(filter).projection(doc! {ID: 1})).await?;
        let mut found = HashSet::new();
        while let Some(row) = called(what, cursor.try_next()).await? {
            found.insert(document::name(&row));
        }
        Ok(found)
    }

    /// Ends all connections.
    pub async fn close(self) {
        self.client.shutdown().immediate(true).await;
    }

    async fn rows(&self, filter: Document) -> Result<(Rows, u64)> {
        let what = "read the devices";
        let rows = self.collection(DEVICES);
        let count = called(what, rows.count_documents(filter.clone())).await?;
        let cursor = called(what, rows.find(filter).batch_size(BATCH)).await?;
        Ok((Rows(cursor), count))
    }

    fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.client.database(&self.name).collection(name)
    }
}

/// The filter for documents of a tenant. Null also matches those that name none.
fn of(tenant: &TenantId) -> Document {
    match tenant.as_str() {
        "" => doc! {TENANT: {"$in": ["", null]}},
        tenant => doc! {TENANT: tenant},
    }
}

/// Rows of devices, read as they are asked for.
pub struct Rows(Cursor<RawDocumentBuf>);

impl Rows {
    /// The next rows, at most so many; none at the end.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        while rows.len() < most {
            match called("read the devices", self.0.try_next()).await? {
                Some(found) => rows.push(Row::read(&found)),
                None => break,
            }
        }
        Ok(rows)
    }
}

/// A call of the driver, with a limit and a name for its failures.
async fn called<T>(
    what: &'static str,
    call: impl IntoFuture<Output = mongodb::error::Result<T>>,
) -> Result<T> {
    let why = || format!("no answer within {CALL:?}");
    let late = |_| Error::Unavailable { what, why: why() };
    let answer = tokio::time::timeout(CALL, call).await.map_err(late)?;
    answer.map_err(|error| Error::unavailable(what, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(uri: &str) -> Options {
        Options::new(Zeroizing::new(uri.to_owned()), "iot_manager".to_owned())
    }

    #[tokio::test]
    async fn no_error_shows_the_password() {
        for uri in [
            "mongodb://ann:hunter2@[/",
            "mongodb://ann:hun@ter2@host/",
            "ann:hunter2",
            "mongodb://ann:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=50",
        ] {
            let options = options(uri).login("ann".to_owned(), Some("hunter2".to_owned().into()));
            let error = Database::connect(&options).await.unwrap_err().to_string();
            assert!(!error.contains("ter2"), "{error}");
            assert!(!format!("{options:?}").contains("ter2"));
        }
    }

    #[tokio::test]
    async fn a_name_that_no_database_can_have_is_refused() {
        let options = Options::new("mongodb://127.0.0.1:1".to_owned().into(), "a.b".to_owned());
        let error = Database::connect(&options).await.unwrap_err();
        assert!(matches!(error, Error::Configuration(_)));
    }
}
