//! Requests about the registry as a whole, and a device's message queue.

use bytes::Bytes;
use http::Request;

use super::draft::Draft;
use crate::device_id::DeviceId;
use crate::error::{Error, Result};
use crate::host::HostName;

/// Most identities that one list holds.
pub const MAX_LIST: u16 = 1000;

/// Lists up to `top` identities, in no order. There are no further pages.
pub fn devices(host: &HostName, top: u16) -> Result<Request<Bytes>> {
    // The hub would take any other number for 1000.
    if !(1..=MAX_LIST).contains(&top) {
        return Err(Error::invalid("a list holds 1 to 1000 identities"));
    }
    Draft::get(host, &["devices"])
        .query("top", &top.to_string())
        .finish()
}

/// Counts the devices.
pub fn device_statistics(host: &HostName) -> Result<Request<Bytes>> {
    Draft::get(host, &["statistics", "devices"]).finish()
}

/// Counts the connected devices.
pub fn service_statistics(host: &HostName) -> Result<Request<Bytes>> {
    Draft::get(host, &["statistics", "service"]).finish()
}

/// Throws the messages away that wait for a device.
pub fn purge_messages(host: &HostName, device: &DeviceId) -> Result<Request<Bytes>> {
    Draft::delete(host, &["devices", device.as_str(), "commands"]).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::draft::tests::{host, text};

    #[test]
    fn the_paths_are_those_of_the_service() {
        let id = "dev-1".parse().unwrap();
        for (request, line) in [
            (
                devices(&host(), 7),
                "GET /devices?api-version=2021-04-12&top=7",
            ),
            (
                device_statistics(&host()),
                "GET /statistics/devices?api-version=2021-04-12",
            ),
            (
                service_statistics(&host()),
                "GET /statistics/service?api-version=2021-04-12",
            ),
            (
                purge_messages(&host(), &id),
                "DELETE /devices/dev-1/commands?api-version=2021-04-12",
            ),
        ] {
            assert_eq!(text(request), format!("{line}\naccept: application/json\n"));
        }
    }

    #[test]
    fn a_list_holds_1_to_1000() {
        assert!(devices(&host(), 0).is_err() && devices(&host(), 1001).is_err());
        assert!(devices(&host(), 1).is_ok() && devices(&host(), 1000).is_ok());
    }
}
