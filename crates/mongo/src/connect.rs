//! One client for the whole process, with guarantees that no connection string can weaken.
//!
//! The protocol needs a write that was confirmed to be there whatever server dies next. That is
//! a write that a majority has in its journals, read back as a majority sees it. A connection
//! string that asks for less is refused rather than overruled in silence, and so is a server
//! that has no majority to ask.

use std::fmt;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, ReadConcern, ReadConcernLevel, ReadPreference,
    WriteConcern,
};
use mongodb::{Client, Collection, Database};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// How long to look for a primary.
const SELECTION: Duration = Duration::from_secs(3);
/// How long one connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a majority may take to have a write.
const MAJORITY: Duration = Duration::from_secs(5);
/// How long any call may take, the driver's own second attempt included. The driver knows no
/// time-out for an answer that never comes.
const CALL: Duration = Duration::from_secs(10);
/// Connections, unless the connection string says otherwise.
const POOL: u32 = 64;
/// What MongoDB 4.2 speaks, the oldest that can stamp a write with its own time in a pipeline
/// (mongodb/specifications, "Wire Version and Wire Version Range").
const OLDEST_WIRE_VERSION: i64 = 8;

/// Where the database is.
#[derive(Clone)]
pub struct Options {
    uri: Zeroizing<String>,
    database: String,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("uri", &"***")
            .field("database", &self.database)
            .finish()
    }
}

impl Options {
    /// A connection string, `mongodb://` or `mongodb+srv://`, credentials and files for TLS
    /// included, and the name of the database. What would weaken the guarantees is refused.
    pub fn new(uri: impl Into<String>, database: impl Into<String>) -> Result<Self> {
        let database = database.into();
        // mongodb.com, "MongoDB Limits and Thresholds", names of databases.
        let forbidden = |c: char| "/\\. \"$*<>:|?".contains(c) || c.is_control();
        if database.is_empty() || database.len() > 63 || database.contains(forbidden) {
            return Err(Error::Configuration(
                "the name of the database is not one that MongoDB takes".to_owned(),
            ));
        }
        let uri = Zeroizing::new(uri.into());
        // The driver's text may repeat a part of the password.
        let parsed = ConnectionString::parse(uri.as_str()).map_err(|_| malformed())?;
        refuse_weaker(&parsed)?;
        Ok(Self { uri, database })
    }
}

fn malformed() -> Error {
    Error::Configuration(
        "not a connection string of MongoDB: mongodb://user:password@host:port/?option=value, \
         with user and password percent-encoded"
            .to_owned(),
    )
}

/// A client of one database. Clones share the connections.
#[derive(Debug, Clone)]
pub struct Mongo {
    client: Client,
    database: Database,
}

impl Mongo {
    /// Begins to connect. Only a name that DNS must look up (`mongodb+srv://`) is waited for;
    /// [`Mongo::check`] tells whether the server is there.
    pub async fn connect(options: &Options) -> Result<Self> {
        let parsed = ClientOptions::parse(options.uri.as_str());
        let parsed = within("look up the servers", parsed).await?;
        let parsed = parsed.map_err(|error| match error.kind.as_ref() {
            ErrorKind::DnsResolve { .. } => Error::unavailable("look up the servers", &error),
            _ => malformed(),
        })?;
        let client = Client::with_options(with_guarantees(parsed)).map_err(|error| {
            // Files for TLS are read here, and the text names the file and not its content.
            Error::Configuration(format!(
                "the connection string cannot be used: {}",
                error.kind
            ))
        })?;
        Ok(Self {
            database: client.database(&options.database),
            client,
        })
    }

    /// Whether the server answers, is new enough, and can promise a majority.
    pub async fn check(&self) -> Result<()> {
        let hello = self.client.database("admin");
        let hello = hello.run_command(doc! {"hello": 1});
        let hello = called("reach the server", hello).await?;
        let refused = |why: &str| Err(Error::Configuration(format!("the MongoDB server {why}")));
        let is_router = hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
        if !is_router && !hello.contains_key("setName") {
            return refused(
                "is not part of a replica set, and nothing it confirms would outlive it: make it \
                 one, if need be of this server alone",
            );
        }
        if number(&hello, "maxWireVersion").unwrap_or(0) < OLDEST_WIRE_VERSION {
            return refused("is older than 4.2");
        }
        Ok(())
    }

    /// The name of the database.
    #[must_use]
    pub fn database(&self) -> &str {
        self.database.name()
    }

    /// Ends all connections. Calls that are under way fail.
    pub async fn close(self) {
        self.client.shutdown().immediate(true).await;
    }

    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }
}

/// What a connection string may not ask for.
fn refuse_weaker(parsed: &ConnectionString) -> Result<()> {
    let weaker = |what: &str| {
        Err(Error::Configuration(format!(
            "the connection string asks for {what}, which can lose what was confirmed: leave it out"
        )))
    };
    if let Some(concern) = &parsed.write_concern {
        let w = concern.w.as_ref();
        if w.is_some_and(|w| *w != Acknowledgment::Majority) {
            return weaker("`w` other than majority");
        }
        if concern.journal == Some(false) {
            return weaker("`journal=false`");
        }
    }
    let enough = [ReadConcernLevel::Majority, ReadConcernLevel::Linearizable];
    if let Some(concern) = &parsed.read_concern
        && !enough.contains(&concern.level)
    {
        return weaker("a `readConcernLevel` other than majority or linearizable");
    }
    match &parsed.read_preference {
        None | Some(ReadPreference::Primary) => Ok(()),
        Some(_) => weaker("a `readPreference` other than primary"),
    }
}

/// The options with our guarantees.
fn with_guarantees(mut options: ClientOptions) -> ClientOptions {
    let majority = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .w_timeout(MAJORITY)
        .build();
    options.write_concern = Some(majority);
    options
        .read_concern
        .get_or_insert_with(ReadConcern::majority);
    options
        .app_name
        .get_or_insert_with(|| "mender-iothub".to_owned());
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(CONNECT);
    options.max_pool_size.get_or_insert(POOL);
    options
}

/// A whole number of whatever type.
pub(crate) fn number(document: &Document, field: &str) -> Option<i64> {
    let value = document.get(field)?;
    value.as_i64().or_else(|| value.as_i32().map(i64::from))
}

/// A call of the driver, with a limit and a name for its failures.
pub(crate) async fn called<T>(
    what: &str,
    call: impl IntoFuture<Output = mongodb::error::Result<T>>,
) -> Result<T> {
    let answer = within(what, call).await?;
    answer.map_err(|error| Error::unavailable(what, &error))
}

/// Limits a call.
pub(crate) async fn within<T>(what: &str, call: impl IntoFuture<Output = T>) -> Result<T> {
    let late = |_| Error::Unavailable(format!("failed to {what}: no answer within {CALL:?}"));
    tokio::time::timeout(CALL, call).await.map_err(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(uri: &str) -> String {
        Options::new(uri, "iothub").unwrap_err().to_string()
    }

    #[test]
    fn a_connection_string_that_asks_for_less_than_a_majority_is_refused() {
        for (option, named) in [
            ("w=1", "`w`"),
            ("w=0", "`w`"),
            ("w=majority&journal=false", "`journal=false`"),
            ("readConcernLevel=local", "`readConcernLevel`"),
            ("readPreference=secondaryPreferred", "`readPreference`"),
        ] {
            let text = refusal(&format!("mongodb://127.0.0.1:1/?{option}"));
            assert!(text.contains(named), "{option}: {text}");
        }
    }

    #[tokio::test]
    async fn a_connection_string_that_asks_for_a_majority_or_says_nothing_will_do() {
        for option in ["", "w=majority&journal=true&readConcernLevel=linearizable"] {
            let options = Options::new(format!("mongodb://127.0.0.1:1/?{option}"), "d").unwrap();
            let mongo = Mongo::connect(&options).await.unwrap();
            assert!(matches!(mongo.check().await, Err(Error::Unavailable(_))));
            mongo.close().await;
        }
    }

    #[test]
    fn no_error_shows_the_password() {
        for uri in [
            "mongodb://ann:hunter2@[/",
            "mongodb://ann:hun@ter2@host/",
            "mongodb://ann:hunter2@host/?w=1",
            "ann:hunter2",
            "mongodb://ann:hunter2@host:99999/",
        ] {
            let text = refusal(uri);
            assert!(
                !text.contains("hunter2") && !text.contains("ter2"),
                "{text}"
            );
        }
        let options = Options::new("mongodb://ann:hunter2@h", "d").unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn a_name_that_no_database_can_have_is_refused() {
        for name in ["", "a.b", "a b", "$x", &"x".repeat(64)] {
            assert!(Options::new("mongodb://h", name).is_err(), "{name:?}");
        }
    }
}
