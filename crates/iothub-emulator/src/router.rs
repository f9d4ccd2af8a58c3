//! From method and path to an operation on a device, and the refusals that need no state.
//!
//! Paths are split first and decoded afterwards, once, so that an encoded slash cannot make a
//! segment and an id such as `%25` means what it says.

mod paths;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::entra::endpoints;
use crate::errors::ServiceError;
use crate::etag::Precondition;
use crate::identity::check_id;
use crate::operation::Operation;

/// The api-versions seen to work on the real service.
const API_VERSIONS: [&str; 6] = [
    "2018-06-30",
    "2020-03-13",
    "2020-05-31-preview",
    "2020-09-30",
    "2021-04-12",
    "2024-03-31",
];
/// Most identities in one list, and how many come if the caller asks for none or for too many.
const MAX_LIST: usize = 1_000;

/// What a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    /// The decoded path segments.
    pub(crate) segments: Vec<String>,
    /// The device id in the path, if the operation has one.
    pub(crate) device: Option<String>,
    /// The module id in the path, if the operation has one.
    pub(crate) module: Option<String>,
    /// The id of a job or configuration in the path, or the name of a command.
    pub(crate) name: Option<String>,
    /// Why the request is refused, whoever sends it.
    pub(crate) refusal: Option<ServiceError>,
}

impl Route {
    /// The whole path in decoded form.
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.segments.join("/"))
    }
}

/// Finds the operation behind a request.
pub(crate) fn route(method: &Method, raw_path: &str, precondition: &Precondition) -> Route {
    let decode = |segment| percent_decode_str(segment).decode_utf8();
    // The Node SDK lists identities at `/devices/`, so one slash at the end means nothing.
    let raw_path = raw_path.strip_prefix('/').unwrap_or(raw_path);
    let raw_path = raw_path.strip_suffix('/').unwrap_or(raw_path);
    let raw = || raw_path.split('/');
    let sound = raw().all(|segment| decode(segment).is_ok());
    let segments: Vec<String> = raw()
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let names: Vec<&str> = segments.iter().map(String::as_str).collect();
    let found = if sound {
        match endpoints::find(method.as_str(), &names) {
            Some(operation) => Ok(paths::Found::plain(operation)),
            None => paths::find(method, &names, precondition),
        }
    } else {
        let text = "The path is not valid UTF-8 after decoding.";
        Err(ServiceError::invalid(text))
    };
    let (operation, [device, module, name], refusal) = match found {
        Ok(found) => {
            let ids = [found.device, found.module];
            let bad = ids.into_iter().flatten().find_map(|id| check_id(id).err());
            let ids = [found.device, found.module, found.name];
            (found.operation, ids.map(|it| it.map(str::to_owned)), bad)
        }
        Err(error) => (Operation::Other, [None, None, None], Some(error)),
    };
    Route {
        operation,
        segments,
        device,
        module,
        name,
        refusal,
    }
}

/// The value of a query parameter, decoded; the first one counts.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// The api-version of a request, which is required on each.
pub(crate) fn api_version(query: &str) -> Result<String, ServiceError> {
    let Some(version) = parameter(query, "api-version") else {
        return Err(ServiceError::protocol_version(
            "The api-version is missing.",
        ));
    };
    if API_VERSIONS.contains(&version.as_str()) {
        return Ok(version);
    }
    Err(ServiceError::protocol_version(
        "The api-version is not supported.",
    ))
}

/// How many identities a list may hold.
pub(crate) fn list_limit(query: &str) -> usize {
    let asked = parameter(query, "top").and_then(|top| top.parse().ok());
    asked
        .filter(|top| (1..=MAX_LIST).contains(top))
        .unwrap_or(MAX_LIST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed(method: &str, path: &str) -> Route {
        route(&method.parse().unwrap(), path, &Precondition::Absent)
    }

    #[track_caller]
    fn goes_to(method: &str, path: &str, operation: Operation, device: Option<&str>) {
        let route = routed(method, path);
        assert_eq!(
            (route.operation, route.device.as_deref()),
            (operation, device)
        );
        assert_eq!(route.refusal, None);
    }

    #[track_caller]
    fn refused(method: &str, path: &str, status: u16) {
        assert_eq!(
            routed(method, path).refusal.unwrap().status,
            status,
            "{method} {path}"
        );
    }

    #[test]
    fn every_operation_has_its_method_and_path() {
        goes_to("GET", "/devices", Operation::List, None);
        goes_to("GET", "/devices/", Operation::List, None);
        goes_to("GET", "/devices/d1", Operation::Read, Some("d1"));
        goes_to("PUT", "/devices/d1", Operation::Create, Some("d1"));
        goes_to("DELETE", "/devices/d1", Operation::Delete, Some("d1"));
        goes_to("GET", "/twins/d1", Operation::TwinRead, Some("d1"));
        goes_to("PATCH", "/twins/d1", Operation::TwinPatch, Some("d1"));
        goes_to("PUT", "/twins/d1", Operation::TwinReplace, Some("d1"));
        goes_to(
            "DELETE",
            "/devices/d1/commands",
            Operation::Purge,
            Some("d1"),
        );
        goes_to(
            "GET",
            "/statistics/devices",
            Operation::DeviceStatistics,
            None,
        );
        goes_to(
            "GET",
            "/statistics/service",
            Operation::ServiceStatistics,
            None,
        );
    }

    #[test]
    fn modules_live_below_their_device() {
        goes_to(
            "GET",
            "/devices/d1/modules",
            Operation::ModuleList,
            Some("d1"),
        );
        for (method, path, operation) in [
            ("GET", "/devices/d/modules/m%201", Operation::ModuleRead),
            ("PUT", "/devices/d/modules/m", Operation::ModuleCreate),
            ("DELETE", "/devices/d/modules/m", Operation::ModuleDelete),
            ("GET", "/twins/d/modules/m", Operation::ModuleTwinRead),
            ("PATCH", "/twins/d/modules/m", Operation::ModuleTwinPatch),
            ("PUT", "/twins/d/modules/m", Operation::ModuleTwinReplace),
        ] {
            let route = routed(method, path);
            assert_eq!(route.operation, operation, "{method} {path}");
            assert_eq!(route.device.as_deref(), Some("d"));
            assert!(route.module.is_some());
        }
        refused("GET", "/devices/d/modules/m%201", 400);
        refused("POST", "/twins/d/modules/m", 405);
    }

    #[test]
    fn a_put_with_a_precondition_is_an_update() {
        let module = route(&Method::PUT, "/devices/d/modules/m", &Precondition::Any);
        assert_eq!(module.operation, Operation::ModuleUpdate);
        let route = route(&Method::PUT, "/devices/d1", &Precondition::Any);
        assert_eq!(route.operation, Operation::Update);
    }

    #[test]
    fn ids_are_decoded_once_and_after_splitting() {
        goes_to("GET", "/devices/%25_%23%2A", Operation::Read, Some("%_#*"));
        goes_to("GET", "/devices/%2525", Operation::Read, Some("%25"));
        goes_to("GET", "/devices/!'()*", Operation::Read, Some("!'()*"));
        goes_to("GET", "/devices/a+b", Operation::Read, Some("a+b"));
        assert_eq!(routed("GET", "/devices/a%3Ab").path(), "/devices/a:b");
    }

    #[test]
    fn ids_the_service_refuses_get_400() {
        for path in [
            "/devices//",
            "/devices/a%2Fb",
            "/devices/%20",
            "/twins/%2E%2E",
            "/devices/%ff",
            "/twins/%C3%A4",
        ] {
            refused("GET", path, 400);
        }
    }

    #[test]
    fn unknown_paths_get_404_and_wrong_methods_405() {
        refused("GET", "/", 404);
        refused("GET", "/devices/d1/nothing/here", 404);
        refused("POST", "/devices/d1", 405);
        refused("DELETE", "/twins/d1", 405);
        refused("DELETE", "/devices", 405);
    }

    #[test]
    fn the_api_version_is_required_and_must_be_known() {
        assert_eq!(
            api_version("top=1&api-version=2021-04-12"),
            Ok("2021-04-12".to_owned())
        );
        for query in [
            "",
            "api-version=",
            "api-version=2199-01-01",
            "xapi-version=2021-04-12",
        ] {
            let error = api_version(query).unwrap_err();
            assert_eq!(
                (error.status.as_u16(), error.name.as_ref()),
                (400, "InvalidProtocolVersion")
            );
        }
    }

    #[test]
    fn a_list_has_as_many_as_asked_for_within_the_limit() {
        assert_eq!(list_limit("top=3&api-version=x"), 3);
        for query in ["", "top=0", "top=1001", "top=-1", "top=all"] {
            assert_eq!(list_limit(query), 1_000, "{query}");
        }
    }
}
