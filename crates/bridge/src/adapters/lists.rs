//! The hub's and Mender's lists, for the sweep.

use iothub::{Continuation, Query};
use lifecycle::{DeviceRef, Failure, IntegrationRef, Mark, TenantId, Timestamp};
use mender::MAX_PER_PAGE;
use reconciler::PerMinute;
use reconciler::sweep::{HubList, HubPage, HubRow, Known, Registry, RegistryPage, Seen};
use serde_json::{Map, Value};

use super::failure::of_hub;
use super::hub::HubPort;
use super::mender::{MenderPort, of_mender};

/// What is asked of the hub: as little as tells ours from others and one state from another.
const QUERY: &str = "SELECT deviceId, status, statusReason, deviceEtag FROM devices";
/// Mender's database keeps milliseconds.
const MICROS_IN_MILLI: i64 = 1_000;
/// 0002-01-01: what is before it is the zero time of Go, which means unknown.
const YEAR_TWO: i64 = -62_104_060_800_000_000;

impl HubList for HubPort {
    fn integration(&self) -> &IntegrationRef {
        &self.integration
    }

    fn allowed_per_minute(&self) -> PerMinute {
        self.allowed_per_minute
    }

    async fn page(&self, after: Option<&[u8]>) -> Result<HubPage, Failure> {
        let failed = |error: &iothub::Error| of_hub(error).0;
        let query = Query::new(QUERY)
            .and_then(|query| query.page_size(iothub::MAX_PAGE))
            .map_err(|error| failed(&error))?;
        let after = after.map(Continuation::from_bytes).transpose();
        let after = after.map_err(|error| failed(&error))?;
        let page = self.client.query_page(&query, after.as_ref()).await;
        let page = page.map_err(|error| failed(&error))?;
        Ok(HubPage {
            rows: page.rows.iter().filter_map(row).collect(),
            next: page.continuation.map(|next| next.as_bytes().to_vec()),
        })
    }
}

/// A row, unless its id is none that a device of ours can have.
fn row(fields: &Map<String, Value>) -> Option<HubRow> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    Some(HubRow {
        device: text("deviceId")?.parse().ok()?,
        enabled: text("status")? == "enabled",
        mark: text("statusReason").and_then(Mark::parse),
        etag: text("deviceEtag").map(str::to_owned),
    })
}

impl Registry for MenderPort {
    async fn page(&self, tenant: &TenantId, page: u32) -> Result<RegistryPage, Failure> {
        let listed = self
            .deviceauth
            .devices_page(tenant.as_str(), page, MAX_PER_PAGE, None)
            .await
            .map_err(|error| of_mender(&error).0)?;
        let devices = listed.devices.iter().filter_map(|device| {
            let id = device.id.parse().ok()?;
            Some((id, known(device)?))
        });
        Ok(RegistryPage {
            devices: devices.collect(),
            next: listed.next,
        })
    }

    async fn look(&self, device: &DeviceRef) -> Result<Seen, Failure> {
        let (tenant, name) = (device.tenant.as_str(), device.device.as_str());
        let found = self.deviceauth.status(tenant, name).await;
        if let Some(found) = found.map_err(|error| of_mender(&error).0)? {
            return known(&found).map(Seen::Known).ok_or_else(|| {
                Failure::Transient("deviceauth tells an unknown status".to_owned())
            });
        }
        // A list without it is not enough: an own answer about it must say so too.
        let status = self.deviceauth.device_status(tenant, name).await;
        match status.map_err(|error| of_mender(&error).0)? {
            None => Ok(Seen::Gone),
            Some(_) => Err(Failure::Transient(
                "deviceauth contradicts itself".to_owned(),
            )),
        }
    }
}

fn known(device: &mender::Device) -> Option<Known> {
    let created = device.created_ts.as_deref().and_then(created);
    Some(Known {
        status: device.status.parse().ok()?,
        created,
        decommissioning: device.decommissioning,
    })
}

/// The time as events have it: in milliseconds, and none where Mender knows none.
fn created(text: &str) -> Option<Timestamp> {
    let micros = text.parse::<jiff::Timestamp>().ok()?.as_microsecond();
    let cut = micros - micros.rem_euclid(MICROS_IN_MILLI);
    (cut >= YEAR_TWO).then_some(Timestamp::from_micros(cut))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn created_is_what_an_event_of_the_same_time_says() {
        let body = br#"{"status":"accepted","created_ts":"2026-08-20T10:11:12.345678Z"}"#;
        let id = lifecycle::EventId("e".into());
        let event = messages::parse_event(id, "=", "d", body, 0).unwrap();
        assert_eq!(created("2026-08-20T10:11:12.345678Z"), event.created);
        assert_eq!(created("0001-01-01T00:00:00Z"), None);
        assert_eq!(created("yesterday"), None);
    }

    #[test]
    fn rows_tell_our_mark_and_odd_ids_are_left_out() {
        let read = |value: Value| row(value.as_object().unwrap());
        let ours = read(
            json!({"deviceId": "a", "status": "disabled", "deviceEtag": "MQ==",
            "statusReason": "mender:i:x"}),
        );
        let ours = ours.unwrap();
        assert_eq!(ours.mark.unwrap().integration, "i");
        assert_eq!((ours.enabled, ours.etag.as_deref()), (false, Some("MQ==")));
        let plain = read(json!({"deviceId": "b", "status": "enabled", "statusReason": null}));
        assert_eq!(plain.unwrap().mark, None);
        assert_eq!(read(json!({"deviceId": "a;b", "status": "enabled"})), None);
    }
}
