//! deviceauth's internal API: the list of devices, and the status of one.

use std::sync::Arc;

use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::fleet::{Device, DeviceKey};
use crate::replies::refusal;
use crate::server::Tenant;
use crate::simulator::Simulator;
use crate::status::Status;
use crate::wire::FullDevice;

const API: &str = "/api/internal/v1/devauth";
const DEFAULT_PER_PAGE: usize = 20;
const MAX_PER_PAGE: usize = 500;

/// The routes; the tenant is not in their paths any more.
pub(crate) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route(&format!("{API}/devices"), get(list))
        .route(&format!("{API}/devices/{{id}}/status"), get(status))
        .route(&format!("{API}/health"), get(StatusCode::NO_CONTENT))
}

async fn status(
    State(simulator): State<Arc<Simulator>>,
    Extension(Tenant(tenant)): Extension<Tenant>,
    Path(id): Path<String>,
) -> Response {
    match simulator.fleet().get(&DeviceKey { tenant, id }) {
        Some(device) => Json(json!({ "status": device.status })).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "device not found"),
    }
}

async fn list(
    State(simulator): State<Arc<Simulator>>,
    Extension(Tenant(tenant)): Extension<Tenant>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = match Query::parse(query.as_deref().unwrap_or_default()) {
        Ok(query) => query,
        Err(reason) => return refusal(StatusCode::BAD_REQUEST, reason),
    };
    let fleet = simulator.fleet();
    let mut found = fleet
        .devices()
        .filter(|device| device.key.tenant == tenant && query.wants(device))
        .skip((query.page - 1).saturating_mul(query.per_page));
    let page: Vec<FullDevice<'_>> = found
        .by_ref()
        .take(query.per_page)
        .map(Into::into)
        .collect();
    let links = query.links(found.next().is_some());
    (links, Json(page)).into_response()
}

/// What a list is asked for.
struct Query<'a> {
    page: usize,
    per_page: usize,
    ids: Vec<String>,
    statuses: Vec<Status>,
    /// The filters as they were written, for the links.
    filters: Vec<&'a str>,
}

impl<'a> Query<'a> {
    fn parse(text: &'a str) -> Result<Self, &'static str> {
        let mut query = Self {
            page: 1,
            per_page: DEFAULT_PER_PAGE,
            ids: Vec::new(),
            statuses: Vec::new(),
            filters: Vec::new(),
        };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| "not UTF-8")?;
            match name {
                "page" => query.page = number(&value, usize::MAX).ok_or("invalid page")?,
                "per_page" => {
                    query.per_page = number(&value, MAX_PER_PAGE).ok_or("invalid per_page")?;
                }
                "id" => query.ids.push(value.into_owned()),
                "status" => {
                    let status = Status::of(&value).ok_or("filter status must be a known one")?;
                    query.statuses.push(status);
                }
                _ => {}
            }
            if !matches!(name, "page" | "per_page") {
                query.filters.push(pair);
            }
        }
        Ok(query)
    }

    fn wants(&self, device: &Device) -> bool {
        (self.ids.is_empty() || self.ids.contains(&device.key.id))
            && (self.statuses.is_empty() || self.statuses.contains(&device.status))
    }

    fn links(&self, has_next: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut add = |relation: &str, page: usize| {
            let per_page = self.per_page;
            let mut target = format!("devices?page={page}&per_page={per_page}");
            for filter in &self.filters {
                target.push('&');
                target.push_str(filter);
            }
            // A query that came in a request line has no byte that a header could not have.
            if let Ok(link) = HeaderValue::try_from(format!("<{target}>; rel=\"{relation}\"")) {
                headers.append(header::LINK, link);
            }
        };
        if self.page > 1 {
            add("prev", self.page - 1);
        }
        if has_next {
            add("next", self.page + 1);
        }
        add("first", 1);
        headers
    }
}

fn number(text: &str, max: usize) -> Option<usize> {
    let number = text.parse().ok()?;
    (1..=max).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_menders_defaults_and_limits() {
        let query = Query::parse("id=a&id=b%2Fc&status=accepted").expect("a query");
        assert_eq!((query.page, query.per_page), (1, 20));
        assert_eq!(query.ids, ["a", "b/c"]);
        assert_eq!(query.statuses, [Status::Accepted]);
        for bad in [
            "page=0",
            "page=x",
            "per_page=501",
            "per_page=0",
            "status=gone",
        ] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
    }

    #[track_caller]
    fn links(query: &str, has_next: bool, expected: &[&str]) {
        let headers = Query::parse(query).expect("a query").links(has_next);
        let found: Vec<_> = headers.get_all(header::LINK).iter().collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn links_lead_to_the_neighbours_and_keep_the_filter() {
        links("", false, &[r#"<devices?page=1&per_page=20>; rel="first""#]);
        links(
            "per_page=5&status=accepted&page=2",
            true,
            &[
                r#"<devices?page=1&per_page=5&status=accepted>; rel="prev""#,
                r#"<devices?page=3&per_page=5&status=accepted>; rel="next""#,
                r#"<devices?page=1&per_page=5&status=accepted>; rel="first""#,
            ],
        );
    }
}
