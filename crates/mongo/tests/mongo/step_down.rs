//! A primary that steps down in the middle of a write.
//!
//! Whether the write was done is for the next read to tell. Here a real server does it or never sees
//! it, and what the driver hears is what a server says that is no primary any more
//! (mongodb/specifications, "Retryable Writes"; mongodb.com, "Error Codes").

use black_box::MongoServer;
use futures::future::join_all;
use lifecycle::{DeviceRef, TenantId};
use mongo::{Error, Mongo, MongoDevices, MongoIntegrations, Options};
use mongodb::bson::{Document, doc, oid::ObjectId};
use reconciler::conformance::record;
use reconciler::ports::{DeviceStore as _, IntegrationStore as _, PortError, PortResult, Saved};

use crate::crashes::alone;
use crate::interception::{Fate, Interception};

const CODES: [(i32, &str); 4] = [
    (10_107, "NotWritablePrimary"),
    (189, "PrimarySteppedDown"),
    (11_600, "InterruptedAtShutdown"),
    (91, "ShutdownInProgress"),
];
/// More than the driver tries.
const ALWAYS: usize = 100;

/// How a write is spoilt.
struct Case {
    name: String,
    fate: Fate,
    times: usize,
    /// Whether the driver may repeat it by itself.
    repeats: bool,
    /// Whether the server does it although the answer does not say so.
    done: bool,
}

impl Case {
    /// Whether the driver's own second attempt makes it good.
    const fn made_good(&self) -> bool {
        self.repeats && self.times == 1
    }

    /// Whether the write was done in the end.
    const fn applied(&self) -> bool {
        self.done || self.made_good()
    }
}

fn cases() -> Vec<Case> {
    let manners = [(true, 1), (true, ALWAYS), (false, 1)];
    let mut cases = Vec::new();
    for (repeats, times) in manners {
        for (code, name) in CODES {
            let error = move || error(code, name, repeats);
            let fates = [
                ("refused", Fate::Refused(error()), false),
                (
                    "done, and answered with",
                    Fate::answered(move |answer| *answer = error()),
                    true,
                ),
                (
                    "done by itself, with",
                    Fate::answered(move |answer| unconfirmed(answer, error())),
                    true,
                ),
            ];
            cases.extend(fates.map(|(how, fate, done)| Case {
                name: format!("{how} {name}, {times} times, repeatable: {repeats}"),
                fate,
                times,
                repeats,
                done,
            }));
        }
    }
    for times in [1, ALWAYS] {
        cases.push(Case {
            name: format!("done, and cut, {times} times"),
            fate: Fate::Cut,
            times,
            repeats: true,
            done: true,
        });
    }
    cases
}

/// What the server answers. One that is older than 4.4, or has no sessions, puts no label on it.
fn error(code: i32, name: &str, repeats: bool) -> Document {
    let mut error = doc! {
        "ok": 0.0,
        "code": code,
        "codeName": name,
        "errmsg": "not primary",
        "topologyVersion": {"processId": ObjectId::new(), "counter": 7_i64},
    };
    if repeats {
        error.insert("errorLabels", ["RetryableWriteError"].as_slice());
    }
    error
}

/// The server's own answer, with the word that no majority has confirmed it.
fn unconfirmed(answer: &mut Document, mut error: Document) {
    error.remove("ok");
    error.remove("topologyVersion");
    if let Some(labels) = error.remove("errorLabels") {
        answer.insert("errorLabels", labels);
    }
    answer.insert("writeConcernError", error);
}

/// A store whose connection is intercepted, and one beside it that sees what is there.
struct Stage {
    interception: Interception,
    mongos: [Mongo; 2],
}

impl Stage {
    async fn new(server: &MongoServer, number: usize) -> Self {
        let interception = Interception::before(server.uri()).await;
        let database = format!("iothub-{number}");
        let connect = async |uri: String| {
            let options = Options::new(uri, database.as_str()).unwrap();
            Mongo::connect(&options).await.unwrap()
        };
        let past = connect(server.uri().to_owned()).await;
        past.setup(false).await.unwrap();
        Self {
            mongos: [connect(interception.uri()).await, past],
            interception,
        }
    }

    /// A write that is spoilt; then the same again, which must find what is there.
    async fn write(
        &self,
        case: &Case,
        command: &str,
        write: impl AsyncFn() -> PortResult<Saved>,
    ) -> (PortResult<Saved>, Saved) {
        self.interception
            .spoil(command, case.times, case.fate.clone());
        let first = write().await;
        let struck = self.interception.relent();
        let expected = if case.repeats { case.times.min(2) } else { 1 };
        assert_eq!(struck, expected, "{}: {command} was spoilt", case.name);
        let again = write().await;
        (
            first,
            again.unwrap_or_else(|error| panic!("{}: {command} again: {error}", case.name)),
        )
    }

    async fn close(self) {
        for mongo in self.mongos {
            mongo.close().await;
        }
    }
}

/// What the two attempts may say. The first counts only if it was done; the second is done only
/// if the first was not.
fn judge(case: &Case, (first, again): &(PortResult<Saved>, Saved)) {
    let name = &case.name;
    if case.made_good() {
        assert!(matches!(first, Ok(Saved::Version(_))), "{name}: {first:?}");
    } else {
        assert!(
            matches!(first, Err(PortError::Unavailable(_))),
            "{name}: {first:?}"
        );
    }
    assert_eq!(*again == Saved::Lost, case.applied(), "{name}: {again:?}");
}

async fn devices(stage: &Stage, case: &Case) {
    let name = &case.name;
    let [spoilt, past] = &stage.mongos;
    let store = MongoDevices::open(spoilt).await.unwrap();
    let past = MongoDevices::open(past).await.unwrap();
    let about = DeviceRef {
        tenant: "t".parse().unwrap(),
        device: "d".parse().unwrap(),
    };
    let said = stage
        .write(case, "findAndModify", async || {
            store.create(&about, &record(1)).await
        })
        .await;
    judge(case, &said);
    let made = past.load(&about).await.unwrap().expect(name);
    assert_eq!(made.record, record(1), "{name}");
    assert!(
        said_version(&said).is_none_or(|said| said == made.version),
        "{name}"
    );

    let change = async || {
        store
            .compare_and_set(&about, &record(2), made.version)
            .await
    };
    let said = stage.write(case, "findAndModify", change).await;
    judge(case, &said);
    let changed = past.load(&about).await.unwrap().expect(name);
    assert_eq!(
        (changed.record, changed.version),
        (record(2), made.version + 1),
        "{name}: once"
    );
    assert!(
        said_version(&said).is_none_or(|said| said == changed.version),
        "{name}"
    );

    let said = stage
        .write(case, "delete", async || {
            store.delete(&about, changed.version).await
        })
        .await;
    judge(case, &said);
    assert_eq!(past.load(&about).await.unwrap(), None, "{name}");
}

/// The version that an attempt told.
fn said_version((first, again): &(PortResult<Saved>, Saved)) -> Option<u64> {
    [first.as_ref().ok(), Some(again)]
        .into_iter()
        .flatten()
        .find_map(|saved| match saved {
            Saved::Version(version) => Some(*version),
            Saved::Lost => None,
        })
}

async fn integrations(stage: &Stage, case: &Case) {
    let name = &case.name;
    let [spoilt, past] = &stage.mongos;
    let (store, past) = (
        MongoIntegrations::open(spoilt),
        MongoIntegrations::open(past),
    );
    let tenant: TenantId = "t".parse().unwrap();
    let said = stage
        .write(case, "insert", async || {
            store.save(&tenant, b"one", None).await
        })
        .await;
    judge(case, &said);
    let (sealed, first) = past.load(&tenant).await.unwrap().expect(name);
    assert_eq!(sealed, b"one", "{name}");
    assert!(
        said_version(&said).is_none_or(|said| said == first),
        "{name}"
    );

    let said = stage
        .write(case, "update", async || {
            store.save(&tenant, b"two", Some(first)).await
        })
        .await;
    judge(case, &said);
    let changed = past.load(&tenant).await.unwrap();
    assert_eq!(changed, Some((b"two".to_vec(), first + 1)), "{name}: once");

    let said = stage
        .write(case, "delete", async || {
            store.remove(&tenant, first + 1).await
        })
        .await;
    judge(case, &said);
    assert_eq!(past.load(&tenant).await.unwrap(), None, "{name}");
}

#[tokio::test]
async fn a_write_that_meets_a_step_down_is_done_once_and_never_said_to_be_saved_when_it_was_not() {
    let test =
        "a_write_that_meets_a_step_down_is_done_once_and_never_said_to_be_saved_when_it_was_not";
    let Some((dir, server, mongo, _)) = alone(test).await else {
        return;
    };
    let played = cases().into_iter().enumerate().map(async |(number, case)| {
        let stage = Stage::new(&server, number).await;
        devices(&stage, &case).await;
        integrations(&stage, &case).await;
        stage.close().await;
    });
    join_all(played).await;
    mongo.close().await;
    dir.passed();
}

#[tokio::test]
async fn a_server_that_is_in_no_replica_set_is_refused() {
    let test = "a_server_that_is_in_no_replica_set_is_refused";
    let Some((dir, server, mongo, _)) = alone(test).await else {
        return;
    };
    let interception = Interception::before(server.uri()).await;
    interception.spoil(
        "hello",
        ALWAYS,
        Fate::answered(|answer| drop(answer.remove("setName"))),
    );
    let options = Options::new(interception.uri(), "iothub").unwrap();
    let standalone = Mongo::connect(&options).await.unwrap();
    for refused in [
        standalone.check().await.err(),
        MongoDevices::open(&standalone).await.err(),
    ] {
        let Some(Error::Configuration(why)) = refused else {
            panic!("{refused:?}");
        };
        assert!(why.contains("replica set"), "{why}");
    }
    standalone.close().await;
    mongo.close().await;
    dir.passed();
}
