//! Requests for the pages of a query.

use bytes::Bytes;
use http::Request;
use http::header::{HeaderName, HeaderValue};
use serde_json::json;

use super::draft::Draft;
use crate::error::Result;
use crate::host::HostName;
use crate::query::{CONTINUATION, Continuation, MAX_ITEM_COUNT, Query};

/// Asks for the first page of a query, or for the one after `continuation`.
pub fn query(
    host: &HostName,
    query: &Query,
    continuation: Option<&Continuation>,
) -> Result<Request<Bytes>> {
    let draft = Draft::post(host, &["devices", "query"]).json(&json!({"query": query.text()}));
    paged(draft, query.page_rows(), continuation).finish()
}

/// The same request for a certain page.
pub(super) fn paged(
    mut draft: Draft,
    rows: Option<u16>,
    continuation: Option<&Continuation>,
) -> Draft {
    if let Some(rows) = rows {
        draft = draft.header(
            HeaderName::from_static(MAX_ITEM_COUNT),
            HeaderValue::from(rows),
        );
    }
    if let Some(continuation) = continuation {
        draft = draft.header(HeaderName::from_static(CONTINUATION), continuation.header());
    }
    draft
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::draft::tests::{host, text};

    #[test]
    fn the_pages_of_a_query_are_asked_for_by_header() {
        let whole = Query::new("SELECT * FROM devices").unwrap();
        assert_eq!(
            text(query(&host(), &whole, None)),
            "POST /devices/query?api-version=2021-04-12\n\
             accept: application/json\n\
             content-type: application/json; charset=utf-8\n\
             {\"query\":\"SELECT * FROM devices\"}"
        );
        let next = Continuation::from_bytes(b"eyJh+/=").unwrap();
        let paged = text(query(&host(), &whole.page_size(50).unwrap(), Some(&next)));
        assert!(paged.contains("\nx-ms-max-item-count: 50\n"), "{paged}");
        assert!(paged.contains("\nx-ms-continuation: eyJh+/=\n"), "{paged}");
    }
}
