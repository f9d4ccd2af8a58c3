//! From method and path to what is asked.
//!
//! By hand, since routers of the usual kind match no empty segment, and the tenant of open-source
//! Mender is one: `/tenants//devices`. As iot-manager does, the decoded path is matched, so an
//! encoded slash in an id is a path that is not there; and a slash too many at the end is redirected.

use axum::http::Method;
use percent_encoding::percent_decode_str;

const INTERNAL: &str = "/api/internal/v1/iot-manager/";
const MANAGEMENT: &str = "/api/management/v1/iot-manager/";

/// Which of the APIs an address offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// That of Mender's services. It asks nobody who they are.
    pub internal: bool,
    /// That of users.
    pub management: bool,
}

/// What can be asked. The texts are parts of the path, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Alive,
    Health,
    Provision,
    BulkStatus,
    Decommission,
    DeleteTenant,
    Preauth,
    Integrations,
    CreateIntegration,
    Integration,
    SetCredentials,
    DeleteIntegration,
    States,
    State,
    ReplaceState,
    Events,
}

impl Endpoint {
    pub(crate) const fn is_internal(self) -> bool {
        matches!(
            self,
            Self::Alive
                | Self::Health
                | Self::Provision
                | Self::BulkStatus
                | Self::Decommission
                | Self::DeleteTenant
                | Self::Preauth
        )
    }
}

/// `:` stands for a part that is handed on. It may be empty, unless it is the last one.
const ROUTES: [(Method, &str, Endpoint); 16] = [
    (Method::GET, "alive", Endpoint::Alive),
    (Method::GET, "health", Endpoint::Health),
    (Method::POST, "tenants/:/devices", Endpoint::Provision),
    (
        Method::PUT,
        "tenants/:/bulk/devices/status/:",
        Endpoint::BulkStatus,
    ),
    (
        Method::DELETE,
        "tenants/:/devices/:",
        Endpoint::Decommission,
    ),
    (Method::DELETE, "tenants/:", Endpoint::DeleteTenant),
    (Method::POST, "tenants/:/auth", Endpoint::Preauth),
    (Method::GET, "integrations", Endpoint::Integrations),
    (Method::POST, "integrations", Endpoint::CreateIntegration),
    (Method::GET, "integrations/:", Endpoint::Integration),
    (
        Method::PUT,
        "integrations/:/credentials",
        Endpoint::SetCredentials,
    ),
    (
        Method::DELETE,
        "integrations/:",
        Endpoint::DeleteIntegration,
    ),
    (Method::GET, "devices/:/state", Endpoint::States),
    (Method::GET, "devices/:/state/:", Endpoint::State),
    (Method::PUT, "devices/:/state/:", Endpoint::ReplaceState),
    (Method::GET, "events", Endpoint::Events),
];

/// Method and route of everything that can be asked; `:` stands for any one part of a path.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES
        .iter()
        .map(|(method, pattern, _)| (name(method), *pattern))
}

/// What a method and a path lead to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Endpoint(Endpoint, Vec<String>),
    /// The path without its last slash.
    Redirect(String),
    /// The methods that the path has.
    WrongMethod(Vec<&'static str>),
    Nothing,
}

impl Found {
    /// The route, or nothing.
    pub(crate) fn route(&self) -> &'static str {
        let Self::Endpoint(endpoint, _) = self else {
            return "";
        };
        let mut routes = ROUTES.iter();
        routes
            .find(|(.., of)| of == endpoint)
            .map_or("", |(_, pattern, _)| *pattern)
    }
}

/// One of the methods that routes have, or `OTHER`.
pub(crate) fn method(method: &Method) -> &'static str {
    let known = ROUTES.iter().any(|(of, ..)| of == method);
    if known { name(method) } else { "OTHER" }
}

pub(crate) fn find(offered: Offered, method: &Method, path: &str) -> Found {
    let Some((internal, rest)) = split(offered, path) else {
        return Found::Nothing;
    };
    let here = || {
        let routes = ROUTES.iter();
        routes.filter(move |(_, _, endpoint)| endpoint.is_internal() == internal)
    };
    for (_, pattern, endpoint) in here().filter(|(m, ..)| m == method) {
        if let Some(parts) = matched(pattern, &rest) {
            return Found::Endpoint(*endpoint, parts);
        }
    }
    if let (Some(rest), Some(short)) = (rest.strip_suffix('/'), path.strip_suffix('/'))
        && here().any(|(m, pattern, _)| m == method && matched(pattern, rest).is_some())
    {
        return Found::Redirect(short.to_owned());
    }
    let others = here().filter(|(_, pattern, _)| matched(pattern, &rest).is_some());
    let others: Vec<_> = others.map(|(method, ..)| name(method)).collect();
    if others.is_empty() {
        return Found::Nothing;
    }
    Found::WrongMethod(others)
}

fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        _ => "DELETE",
    }
}

/// Whether the path is one of the internal API, and what follows the prefix, decoded.
fn split(offered: Offered, path: &str) -> Option<(bool, String)> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let (internal, rest) = match path.strip_prefix(INTERNAL) {
        Some(rest) => (true, rest),
        None => (false, path.strip_prefix(MANAGEMENT)?),
    };
    let is_offered = if internal {
        offered.internal
    } else {
        offered.management
    };
    is_offered.then(|| (internal, rest.to_owned()))
}

fn matched(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    let mut found = Vec::new();
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => break,
            (Some(":"), Some(part)) => found.push(part.to_owned()),
            (Some(pattern), Some(part)) if pattern == part => {}
            _ => return None,
        }
    }
    let ends_empty = pattern.ends_with(':') && found.last().is_some_and(String::is_empty);
    (!ends_empty).then_some(found)
}

#[cfg(test)]
pub(crate) const COUNT: usize = ROUTES.len();

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Offered = Offered {
        internal: true,
        management: true,
    };

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "made where it is checked")]
    fn check(method: Method, path: &str, expected: Found) {
        let path = match path.strip_prefix("m:") {
            Some(path) => format!("{MANAGEMENT}{path}"),
            None => format!("{INTERNAL}{path}"),
        };
        assert_eq!(find(BOTH, &method, &path), expected, "{method} {path}");
    }

    fn found(endpoint: Endpoint, parts: &[&str]) -> Found {
        Found::Endpoint(endpoint, parts.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_empty_tenant_has_a_path() {
        check(
            Method::POST,
            "tenants//devices",
            found(Endpoint::Provision, &[""]),
        );
        check(
            Method::DELETE,
            "tenants//devices/d",
            found(Endpoint::Decommission, &["", "d"]),
        );
        check(
            Method::PUT,
            "tenants//bulk/devices/status/noauth",
            found(Endpoint::BulkStatus, &["", "noauth"]),
        );
    }

    #[test]
    fn the_empty_tenant_never_means_all() {
        check(Method::DELETE, "tenants/", Found::Nothing);
        check(Method::DELETE, "tenants//", Found::Nothing);
        check(Method::DELETE, "tenants", Found::Nothing);
    }

    #[test]
    fn a_slash_too_many_is_redirected_to_a_path() {
        let to = |rest: &str| Found::Redirect(format!("{MANAGEMENT}{rest}"));
        check(Method::GET, "m:integrations/", to("integrations"));
        check(Method::POST, "m:integrations/", to("integrations"));
        check(Method::GET, "m:devices/d/state/", to("devices/d/state"));
        check(Method::GET, "m:events//", Found::Nothing);
    }

    #[test]
    fn another_method_is_told_from_another_path() {
        check(
            Method::HEAD,
            "m:integrations",
            Found::WrongMethod(vec!["GET", "POST"]),
        );
        check(Method::GET, "tenants/t", Found::WrongMethod(vec!["DELETE"]));
        check(Method::DELETE, "m:devices/d", Found::Nothing);
        check(Method::GET, "m:alive", Found::Nothing);
    }

    #[test]
    fn the_decoded_path_counts() {
        check(
            Method::GET,
            "m:devices/%61/state",
            found(Endpoint::States, &["a"]),
        );
        check(Method::GET, "m:devices/a%2Fb/state", Found::Nothing);
        check(Method::GET, "m:devices/%FF/state", Found::Nothing);
        check(
            Method::GET,
            "m:devices//state",
            found(Endpoint::States, &[""]),
        );
    }

    #[test]
    fn an_address_offers_what_it_is_for() {
        let internal = Offered {
            internal: true,
            management: false,
        };
        let path = format!("{MANAGEMENT}events");
        assert_eq!(find(internal, &Method::GET, &path), Found::Nothing);
        let path = format!("{INTERNAL}alive");
        assert_ne!(find(internal, &Method::GET, &path), Found::Nothing);
    }
}
