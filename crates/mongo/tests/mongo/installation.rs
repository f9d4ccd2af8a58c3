//! A database for one test, set up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use black_box::{MongoServer, TestDir};
use lifecycle::DeviceRef;
use mongo::{Mongo, MongoDevices, Options};
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use reconciler::conformance::Subject;
use tokio::sync::Mutex;

/// A server, its folder, and whether a test that used it has failed.
pub(crate) struct Server {
    // Dropped in this order: first the process, then its folder.
    server: MongoServer,
    dir: TestDir,
}

/// The server of the tests that run just now: it ends with the last of them.
async fn shared(test: &str) -> Option<Arc<Server>> {
    static SHARED: Mutex<std::sync::Weak<Server>> = Mutex::const_new(std::sync::Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let dir = TestDir::new("mongo").unwrap();
    let Some(server) = MongoServer::start_or_skip(dir.path(), test).await.unwrap() else {
        dir.passed();
        return None;
    };
    let server = Arc::new(Server { server, dir });
    *shared = Arc::downgrade(&server);
    Some(server)
}

pub(crate) struct Installation {
    pub(crate) options: Options,
    uri: String,
    database: String,
    server: Arc<Server>,
}

impl Installation {
    /// A database in which `setup` has been run.
    pub(crate) async fn new(test: &str) -> Option<Self> {
        let this = Self::bare(test).await?;
        let mongo = this.connect().await;
        mongo.setup(false).await.unwrap();
        mongo.close().await;
        Some(this)
    }

    /// A database of which the server has never heard.
    pub(crate) async fn bare(test: &str) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = shared(test).await?;
        // A server that somebody runs may be used by several at once.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let now = jiff::Timestamp::now().as_microsecond();
        let database = format!("iothub-test-{now}-{}-{number}", std::process::id());
        let uri = server.server.uri().to_owned();
        Some(Self {
            options: Options::new(uri.as_str(), database.as_str()).unwrap(),
            uri,
            database,
            server,
        })
    }

    pub(crate) async fn connect(&self) -> Mongo {
        Mongo::connect(&self.options).await.unwrap()
    }

    /// The collection of records, past the store.
    pub(crate) async fn records(&self) -> Collection<Document> {
        let client = mongodb::Client::with_uri_str(&self.uri).await.unwrap();
        client.database(&self.database).collection("devices")
    }
}

impl Subject for Installation {
    type Store = MongoDevices;

    async fn open(&self) -> MongoDevices {
        MongoDevices::open(&self.connect().await).await.unwrap()
    }

    async fn plant(&self, device: &DeviceRef, v: u8, text: &str) {
        let document = doc! {
            "_id": device.to_tokens(),
            "v": i32::from(v),
            "version": 7_i64,
            "written_at": mongodb::bson::DateTime::now(),
            "tenant": device.tenant.as_str(),
            "device": device.device.as_str(),
            "record": text,
        };
        self.records().await.insert_one(document).await.unwrap();
    }

    async fn text(&self, device: &DeviceRef) -> Option<String> {
        let found = self.records().await;
        let found = found.find_one(doc! {"_id": device.to_tokens()});
        let found = found.await.unwrap()?;
        Some(found.get_str("record").unwrap().to_owned())
    }

    async fn end(self) {
        let client = mongodb::Client::with_uri_str(&self.uri).await.unwrap();
        client.database(&self.database).drop().await.unwrap();
        self.server.dir.passed();
    }
}
