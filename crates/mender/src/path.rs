//! Paths of Mender's internal APIs, put together from encoded segments.
//!
//! A tenant or device id is one segment whatever it holds. The two that no encoding can protect
//! are `.` and `..`: URL parsers take them for steps through the path, even as `%2e`, so a call
//! about the device `..` would be a call about something else.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Error, Result, Service};

/// All but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One value of a path or a query.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// `{api}/tenants/{tenant}{rest}`; the tenant may be empty.
pub(crate) fn of_tenant(service: Service, tenant: &str, rest: &str) -> Result<String> {
    segment(service, tenant, "tenant")?;
    let api = service.api();
    Ok(format!("{api}/tenants/{}{rest}", encode(tenant)))
}

/// `{api}/tenants/{tenant}{before}/{device}{after}`.
pub(crate) fn of_device(
    service: Service,
    tenant: &str,
    before: &str,
    device: &str,
    after: &str,
) -> Result<String> {
    if device.is_empty() {
        return Err(refused(service, "the device id is empty"));
    }
    segment(service, device, "device")?;
    let device = encode(device);
    of_tenant(service, tenant, &format!("{before}/{device}{after}"))
}

fn segment(service: Service, text: &str, what: &str) -> Result<()> {
    if matches!(text, "." | "..") {
        return Err(refused(
            service,
            &format!("{what} `{text}` is no path segment"),
        ));
    }
    Ok(())
}

fn refused(service: Service, reason: &str) -> Error {
    Error::Refused {
        service,
        status: None,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_tenant_is_an_empty_segment() {
        assert_eq!(
            of_device(Service::Deviceauth, "", "/devices", "d-1", "/status"),
            Ok("/api/internal/v1/devauth/tenants//devices/d-1/status".to_owned()),
        );
    }

    #[test]
    fn whatever_an_id_holds_stays_in_its_segment() {
        assert_eq!(
            of_device(
                Service::Deviceconfig,
                "a/b",
                "/configurations/device",
                "../c?d#e%f ü",
                "/deploy"
            ),
            Ok(
                "/api/internal/v1/deviceconfig/tenants/a%2Fb/configurations/device/\
                ..%2Fc%3Fd%23e%25f%20%C3%BC/deploy"
                    .to_owned()
            ),
        );
    }

    #[test]
    fn ids_that_would_walk_through_the_path_are_refused() {
        for id in [".", "..", ""] {
            let path = of_device(Service::Deviceauth, "t", "/devices", id, "");
            assert!(
                matches!(path, Err(Error::Refused { status: None, .. })),
                "{id}"
            );
        }
        assert!(of_tenant(Service::Deviceauth, "..", "/devices").is_err());
    }
}
