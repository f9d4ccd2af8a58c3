//! For whoever measures and traces: what operations are called, and who hears of them.

use std::fmt;
use std::time::Duration;

use http::{HeaderValue, Method, Request, header::IF_MATCH};

use crate::error::Error;

/// Hears of every operation on a hub.
pub trait Watch: fmt::Debug + Send + Sync {
    /// The value of the header `traceparent` for a request that is about to be sent, if it is traced
    /// (<https://www.w3.org/TR/trace-context/>). Hubs ignore the header.
    fn traceparent(&self) -> Option<HeaderValue>;

    /// An operation has ended.
    fn ended(&self, ended: &Ended<'_>);
}

/// An operation that has ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// One of a small number of names: see [`operation`].
    pub operation: &'static str,
    /// What was wrong, if anything.
    pub error: Option<&'a Error>,
    /// How long it took, a second try with a new token included.
    pub took: Duration,
}

/// What a request does, as one of a small number of names without ids, such as `create_device`.
#[must_use]
pub fn operation<B>(request: &Request<B>) -> &'static str {
    let path = request.uri().path().trim_start_matches('/');
    let segments: Vec<&str> = path.split('/').collect();
    let replaces = request.headers().contains_key(IF_MATCH);
    let method = request.method();
    match segments[..] {
        ["devices", ..] => of_devices(method, &segments[1..], replaces),
        ["twins", ..] => of_twins(method, &segments[1..]),
        ["digitaltwins", ..] if *method == Method::GET => "get_digital_twin",
        ["digitaltwins", ..] if *method == Method::PATCH => "update_digital_twin",
        ["digitaltwins", ..] => "invoke_command",
        ["configurations"] => "list_configurations",
        ["configurations", "testQueries"] => "test_configuration_queries",
        ["configurations", _] => match *method {
            Method::GET => "get_configuration",
            Method::DELETE => "delete_configuration",
            _ if replaces => "update_configuration",
            _ => "create_configuration",
        },
        ["jobs", ..] => of_jobs(method, &segments[1..]),
        ["statistics", ..] => "get_statistics",
        _ => "other",
    }
}

fn of_devices(method: &Method, rest: &[&str], replaces: bool) -> &'static str {
    match (rest, method) {
        ([], &Method::POST) => "bulk",
        ([], _) => "list_devices",
        (["query"], _) => "query",
        ([_], &Method::GET) => "get_device",
        ([_], &Method::DELETE) => "delete_device",
        ([_], _) if replaces => "update_device",
        ([_], _) => "create_device",
        ([_, "commands"], _) => "purge_messages",
        ([_, "applyConfigurationContent"], _) => "apply_configuration",
        ([_, "modules"], _) => "list_modules",
        ([_, "modules", _], &Method::GET) => "get_module",
        ([_, "modules", _], &Method::DELETE) => "delete_module",
        ([_, "modules", _], _) if replaces => "update_module",
        ([_, "modules", _], _) => "create_module",
        _ => "other",
    }
}

fn of_twins(method: &Method, rest: &[&str]) -> &'static str {
    match (rest, method) {
        ([.., "methods"], _) => "invoke_method",
        (_, &Method::GET) => "get_twin",
        (_, &Method::PATCH) => "update_twin",
        (_, &Method::PUT) => "replace_twin",
        _ => "other",
    }
}

fn of_jobs(method: &Method, rest: &[&str]) -> &'static str {
    match (rest, method) {
        (["v2", "query"], _) => "query_jobs",
        (["v2", _, "cancel"], _) => "cancel_job",
        (["v2", _], &Method::PUT) => "create_job",
        (["v2", _], _) => "get_job",
        (["create"], _) => "create_transfer",
        ([], _) => "list_transfers",
        ([_], &Method::DELETE) => "cancel_transfer",
        ([_], _) => "get_transfer",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request;

    fn of(method: &str, path: &str, etag: bool) -> &'static str {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://h{path}?api-version=1"));
        if etag {
            request = request.header(IF_MATCH, "\"1\"");
        }
        operation(&request.body(()).unwrap())
    }

    #[test]
    fn an_operation_has_a_name_without_ids() {
        let host = "h.azure-devices.net".parse().unwrap();
        let id = "devices".parse().unwrap();
        let (get, twin) = (
            request::device(&host, &id).unwrap(),
            request::twin(&host, &id).unwrap(),
        );
        let delete = request::delete_device(&host, &id, "1").unwrap();
        assert_eq!(
            [&get, &twin, &delete].map(operation),
            ["get_device", "get_twin", "delete_device"]
        );
        assert_eq!(of("PUT", "/devices/d", false), "create_device");
        assert_eq!(of("PUT", "/devices/d", true), "update_device");
        assert_eq!(of("POST", "/devices/query", false), "query");
        assert_eq!(of("PATCH", "/twins/d/modules/m", false), "update_twin");
        assert_eq!(of("POST", "/twins/d/methods", false), "invoke_method");
        assert_eq!(of("POST", "/jobs/v2/j/cancel", false), "cancel_job");
        assert_eq!(of("GET", "/what/else", false), "other");
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let paths = [
            ("GET", "/devices"),
            ("POST", "/devices"),
            ("GET", "/devices/a/modules"),
            ("GET", "/devices/a/modules/b"),
            ("PUT", "/devices/a/modules/b"),
            ("DELETE", "/devices/a/modules/b"),
            ("DELETE", "/devices/a/commands"),
            ("POST", "/devices/a/applyConfigurationContent"),
            ("GET", "/configurations"),
            ("GET", "/configurations/c"),
            ("PUT", "/configurations/c"),
            ("DELETE", "/configurations/c"),
            ("POST", "/configurations/testQueries"),
            ("GET", "/statistics/service"),
            ("GET", "/twins/a"),
            ("PATCH", "/twins/a"),
            ("PUT", "/twins/a"),
            ("POST", "/twins/a/methods"),
            ("GET", "/digitaltwins/a"),
            ("PATCH", "/digitaltwins/a"),
            ("POST", "/digitaltwins/a/commands/c"),
            ("PUT", "/jobs/v2/j"),
            ("GET", "/jobs/v2/j"),
            ("GET", "/jobs/v2/query"),
            ("POST", "/jobs/v2/j/cancel"),
            ("POST", "/jobs/create"),
            ("GET", "/jobs"),
            ("GET", "/jobs/j"),
            ("DELETE", "/jobs/j"),
        ];
        let names: std::collections::BTreeSet<_> = paths
            .map(|(method, path)| of(method, path, false))
            .into_iter()
            .collect();
        assert_eq!(names.len(), paths.len());
        assert!(!names.contains("other"));
    }
}
