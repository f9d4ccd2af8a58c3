//! What every store of device records or integrations must do, as tests that any of them can be put through.
//!
//! The reconciler is only as right as its store, so the stores are held to one suite rather than
//! each to its own. [`device_store_conformance`](crate::device_store_conformance) makes a test of
//! every check; [`MemoryDevices`] is the plainest store that passes.

#![expect(
    clippy::missing_panics_doc,
    reason = "every check panics when the store fails it"
)]

mod changes;
mod integrations;
mod listing;
mod memory;
mod races;

use std::future::Future;

use lifecycle::{DeviceRef, RECORD_VERSION, Record};
use serde_json::{Value, json};

use crate::ports::{DeviceStore, Saved};

pub use changes::*;
pub use integrations::*;
pub use listing::*;
pub use memory::MemoryDevices;
pub use races::*;

/// A store under test: its own records, and ways around the port.
pub trait Subject: Send + Sync + Sized {
    /// The store.
    type Store: DeviceStore;

    /// A client of the store, with connections of its own where there are any.
    fn open(&self) -> impl Future<Output = Self::Store> + Send;

    /// Puts a text under a device's key as another program would, with the version `v` where the
    /// store keeps that beside the text.
    fn plant(&self, device: &DeviceRef, v: u8, text: &str) -> impl Future<Output = ()> + Send;

    /// The text under a device's key, as it is.
    fn text(&self, device: &DeviceRef) -> impl Future<Output = Option<String>> + Send;

    /// Called after a check that passed.
    fn end(self) -> impl Future<Output = ()> + Send;
}

/// Makes a test of each check. The argument names an `async fn(&str) -> Option<impl Subject>`
/// that gets the check's name; `None` means that the store cannot be run here, which it must say.
#[macro_export]
macro_rules! device_store_conformance {
    ($start:path) => {
        $crate::device_store_conformance!($start:
            a_record_comes_back_as_it_was_stored,
            of_two_writers_with_one_version_the_second_loses,
            a_record_is_created_once,
            a_delete_names_the_version_it_removes,
            a_version_from_before_a_delete_never_wins_again,
            what_is_not_there_can_be_neither_changed_nor_deleted,
            a_record_of_another_version_is_neither_read_nor_overwritten,
            times_are_the_servers_and_never_go_back,
            an_own_clock_is_never_behind_what_was_read,
            sixteen_writers_lose_no_update,
            of_many_creators_one_wins,
            of_a_change_and_a_delete_at_once_one_wins,
            tenants_do_not_see_each_other,
            odd_names_are_kept_apart,
            pages_come_in_order_and_are_never_too_long,
            a_listing_is_complete_while_records_change,
            a_record_that_is_not_understood_hides_no_other,
            a_thousand_records_are_listed_and_counted
        );
    };
    ($start:path: $($check:ident),+) => { $(
        #[tokio::test]
        async fn $check() {
            if let Some(subject) = $start(stringify!($check)).await {
                $crate::conformance::$check(&subject).await;
                $crate::conformance::Subject::end(subject).await;
            }
        }
    )+ };
}

/// A device.
fn device(tenant: &str, device: &str) -> DeviceRef {
    DeviceRef {
        tenant: tenant.parse().expect("a tenant"),
        device: device.parse().expect("a device"),
    }
}

/// A record with little in it but a number.
#[must_use]
pub fn record(revision: u64) -> Record {
    from_json(&json!({
        "v": RECORD_VERSION,
        "key": {"incarnation": null, "revision": revision},
        "status": "accepted",
        "integration": {"id": "i", "hub": "h.azure-devices.net", "generation": 1},
        "hub": "unknown",
        "confirmed": false,
    }))
}

fn from_json(record: &Value) -> Record {
    // Through text, since numbers keep their digits in a `Value`.
    serde_json::from_str(&record.to_string()).expect("a record of this version")
}

/// Creates a record that must not be there yet.
async fn create<S: DeviceStore>(store: &S, device: &DeviceRef, record: &Record) -> u64 {
    won(store.create(device, record).await.expect("an answer"))
}

/// The version of a write that must have won.
fn won(saved: Saved) -> u64 {
    match saved {
        Saved::Version(version) => version,
        Saved::Lost => panic!("lost to nobody"),
    }
}
