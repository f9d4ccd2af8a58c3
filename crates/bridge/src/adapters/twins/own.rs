//! Which devices are a tenant's own.

use lifecycle::{DeviceRef, HubView, Record};
use messages::twin::{Place, Source};
use reconciler::ports::{DeviceStore as _, PortError};
use twin::{DeviceId, TenantId, TwinError};

use super::TwinPort;
use crate::adapters::hub::HubPort;

/// Longest text of the list of devices in a query, in characters: the hub takes 8192 in all, and a
/// condition has at most 2000.
const LONGEST_LIST: usize = 6_000;
/// Records that are read at once.
const RECORDS: usize = 100;

/// Some of a tenant's own devices, in the order of their tokens.
pub(super) struct Chunk {
    pub(super) devices: Vec<DeviceId>,
    /// Where the next chunk starts; `None` behind the last device.
    pub(super) next: Option<Place>,
}

impl TwinPort {
    /// [`TwinError::NotFound`] unless the device is the tenant's own.
    pub(super) async fn check_own(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        hub: &HubPort,
    ) -> Result<(), TwinError> {
        let about = DeviceRef {
            tenant: tenant.clone(),
            device: device.clone(),
        };
        let stored = self.records.load(&about).await.map_err(|e| unread(&e))?;
        match stored {
            Some(stored) if is_own(&stored.record, hub) => Ok(()),
            Some(_) | None => Err(TwinError::NotFound),
        }
    }

    /// The tenant's own devices behind `after`, as many as fit into one query.
    pub(super) async fn chunk(
        &self,
        tenant: &TenantId,
        hub: &HubPort,
        after: Option<&Place>,
        source: Source,
    ) -> Result<Chunk, TwinError> {
        let key = after.map(|place| key(tenant, &place.device));
        // A device may have 50 modules.
        let most = match source {
            Source::Devices => RECORDS,
            Source::Modules => RECORDS / 4,
        };
        let listed = self.records.list(Some(tenant), key.as_deref(), most);
        let page = listed.await.map_err(|e| unread(&e))?;
        let mut next = page.next.as_deref().and_then(place_of);
        let (mut devices, mut length) = (Vec::new(), 0);
        for (about, stored) in page.records {
            if !is_own(&stored.record, hub) {
                continue;
            }
            length += literal(&about.device).len() + 1;
            if length > LONGEST_LIST {
                next = devices.last().cloned().map(done_with);
                break;
            }
            devices.push(about.device);
        }
        Ok(Chunk { devices, next })
    }
}

/// The place behind a device.
pub(super) fn done_with(device: DeviceId) -> Place {
    Place {
        device,
        module: None,
    }
}

/// `deviceId IN [...] AND (<condition>)`: no condition can reach beyond these devices.
pub(super) fn among(devices: &[DeviceId], filter: Option<&str>) -> String {
    let list: Vec<_> = devices.iter().map(literal).collect();
    let list = list.join(",");
    match filter {
        Some(filter) => format!("deviceId IN [{list}] AND ({filter})"),
        None => format!("deviceId IN [{list}]"),
    }
}

/// An id in a query. Ids hold neither backslashes nor double quotes, so nothing has to be escaped.
fn literal(device: &DeviceId) -> String {
    let quote = if device.as_str().contains('\'') {
        '"'
    } else {
        '\''
    };
    format!("{quote}{device}{quote}")
}

/// Whether a record proves that what the hub has under the id is ours.
fn is_own(record: &Record, hub: &HubPort) -> bool {
    record.integration.id == hub.integration.id
        && record.integration.hub == hub.integration.hub
        && matches!(record.hub, HubView::Ours { .. })
}

fn key(tenant: &TenantId, device: &DeviceId) -> String {
    format!("{}.{}", tenant.to_token(), device.to_token())
}

fn place_of(key: &str) -> Option<Place> {
    key.split_once('.')?.1.parse().ok()
}

fn unread(error: &PortError) -> TwinError {
    tracing::warn!(%error, "the record of a device cannot be read");
    TwinError::HubUnavailable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_in_their_quotes_and_conditions_in_their_parentheses() {
        let ids = ["a", "it's"].map(|id| id.parse().unwrap());
        assert_eq!(among(&ids, None), r#"deviceId IN ['a',"it's"]"#);
        assert_eq!(
            among(&ids[..1], Some("tags.a = 1 OR tags.b = 2")),
            "deviceId IN ['a'] AND (tags.a = 1 OR tags.b = 2)"
        );
        for id in ["a\"b", "a\\b", "a]b", "a b"] {
            assert!(id.parse::<DeviceId>().is_err(), "{id}");
        }
    }

    #[test]
    fn a_key_of_the_store_is_a_place() {
        let tenant: TenantId = "t.1".parse().unwrap();
        let device: DeviceId = "dev.1".parse().unwrap();
        let key = key(&tenant, &device);
        assert_eq!(place_of(&key), Some(done_with(device)));
    }
}
