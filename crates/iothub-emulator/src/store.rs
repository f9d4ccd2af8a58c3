//! State that outlives the process: a redb database, written behind the state and before the reply.
//!
//! The state itself knows nothing of this. Whoever has changed it hands over what changed, still
//! under the lock of the state so that the order is the same, and a thread of its own writes all
//! that has come in meanwhile in one transaction, with an fsync at its end. A request gets its
//! answer when everything that was handed over before is on the disk; so no answer, not even that
//! of a read, tells of something that a crash could take back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::error;

/// The file in the directory.
const FILE: &str = "hub.redb";
/// Changes that may wait to be written; beyond that the state waits for the disk.
const QUEUE: usize = 4_096;

/// A table of the database; all of them hold JSON texts by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    Devices,
    Jobs,
    Configurations,
    /// What belongs to the hub as a whole.
    Settings,
}

impl Table {
    const fn definition(self) -> TableDefinition<'static, &'static str, &'static [u8]> {
        TableDefinition::new(match self {
            Self::Devices => "devices",
            Self::Jobs => "jobs",
            Self::Configurations => "configurations",
            Self::Settings => "settings",
        })
    }
}

/// One thing that changed; no value means it is gone.
struct Change {
    number: u64,
    table: Table,
    id: String,
    value: Option<Vec<u8>>,
}

/// The way into the database.
pub(crate) struct Store {
    /// The number of the last change handed over, with the way to the thread.
    queue: Mutex<(u64, SyncSender<Change>)>,
    /// The number of the last change on the disk.
    written: watch::Receiver<u64>,
}

/// What an earlier process left behind.
pub(crate) struct Saved {
    database: Database,
}

/// The disk has failed; the state cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

impl Saved {
    /// Opens the database in a directory, which is made if it is missing and is for its owner only.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("failed to create {}", dir.display()))?;
        let file = dir.join(FILE);
        let database = Database::create(&file)
            .with_context(|| format!("failed to open {}", file.display()))?;
        // It holds the keys of devices.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))
            .with_context(|| format!("failed to protect {}", file.display()))?;
        Ok(Self { database })
    }

    /// All rows of a table.
    pub(crate) fn all<T: DeserializeOwned>(&self, table: Table) -> Result<BTreeMap<String, T>> {
        let reading = self.database.begin_read()?;
        let rows = match reading.open_table(table.definition()) {
            Ok(rows) => rows,
            Err(TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
            Err(error) => return Err(error.into()),
        };
        let mut all = BTreeMap::new();
        for row in rows.iter()? {
            let (id, value) = row?;
            let id = id.value().to_owned();
            let value = serde_json::from_slice(value.value())
                .with_context(|| format!("{table:?} {id:?} in the state cannot be read"))?;
            all.insert(id, value);
        }
        Ok(all)
    }

    /// Starts to write.
    pub(crate) fn into_store(self) -> Store {
        let (sender, changes) = sync_channel(QUEUE);
        let (done, written) = watch::channel(0);
        thread::spawn(move || write_all(&self.database, &changes, &done));
        Store {
            queue: Mutex::new((0, sender)),
            written,
        }
    }
}

/// Writes what comes in until nobody can send any more, or the disk fails.
fn write_all(database: &Database, changes: &Receiver<Change>, done: &watch::Sender<u64>) {
    while let Ok(first) = changes.recv() {
        let mut batch = vec![first];
        batch.extend(changes.try_iter().take(QUEUE));
        let last = batch.last().map_or(0, |change| change.number);
        if let Err(error) = write(database, batch) {
            // Ending here closes both channels, which is how everybody else learns of it.
            return error!(%error, "failed to write the state");
        }
        done.send_replace(last);
    }
}

fn write(database: &Database, batch: Vec<Change>) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    for change in batch {
        let mut table = writing.open_table(change.table.definition())?;
        match change.value {
            Some(value) => table.insert(change.id.as_str(), value.as_slice())?,
            None => table.remove(change.id.as_str())?,
        };
    }
    writing.commit()?;
    Ok(())
}

impl Store {
    /// Hands over a change; to be called while nobody else can change the same thing.
    pub(crate) fn put(&self, table: Table, id: String, value: Option<Vec<u8>>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.0 += 1;
        let change = Change {
            number: queue.0,
            table,
            id,
            value,
        };
        // If the thread is gone, whoever waits for the disk is told.
        let _ = queue.1.send(change);
    }

    /// Waits until everything handed over so far is on the disk.
    pub(crate) async fn durable(&self) -> Result<(), Broken> {
        let wanted = self.queue.lock().unwrap_or_else(PoisonError::into_inner).0;
        let mut written = self.written.clone();
        let reached = written.wait_for(|number| *number >= wanted).await;
        reached.map(|_| ()).map_err(|_| Broken)
    }

    /// Returns when the disk has failed.
    pub(crate) async fn broken(&self) {
        let mut written = self.written.clone();
        while written.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Vec<u8> {
        format!("{value:?}").into_bytes()
    }

    #[tokio::test]
    async fn what_was_durable_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        let store = Saved::open(&folder).unwrap().into_store();
        store.put(Table::Devices, "a".into(), Some(text("1")));
        store.put(Table::Devices, "b".into(), Some(text("1")));
        store.put(Table::Devices, "a".into(), Some(text("2")));
        store.put(Table::Devices, "b".into(), None);
        store.put(Table::Jobs, "a".into(), Some(text("job")));
        store.durable().await.unwrap();
        drop(store);
        let saved = reopened(&folder);
        let devices: BTreeMap<String, String> = saved.all(Table::Devices).unwrap();
        assert_eq!(devices, [("a".to_owned(), "2".to_owned())].into());
        let jobs: BTreeMap<String, String> = saved.all(Table::Jobs).unwrap();
        assert_eq!(jobs.len(), 1);
        let none: BTreeMap<String, String> = saved.all(Table::Settings).unwrap();
        assert!(none.is_empty());
        assert!(saved.all::<u32>(Table::Jobs).is_err());
    }

    /// Opens it again once the thread of the last store has let go of it.
    fn reopened(dir: &Path) -> Saved {
        loop {
            match Saved::open(dir) {
                Ok(saved) => return saved,
                Err(_) => thread::yield_now(),
            }
        }
    }

    #[test]
    fn two_hubs_cannot_share_a_state_and_others_cannot_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Saved::open(dir.path()).unwrap();
        assert!(Saved::open(dir.path()).is_err());
        let mode = fs::metadata(dir.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn nothing_to_write_is_durable_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Saved::open(dir.path()).unwrap().into_store();
        assert_eq!(store.durable().await, Ok(()));
    }
}
