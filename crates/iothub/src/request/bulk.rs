//! The request of a bulk call.

use bytes::Bytes;
use http::Request;

use super::draft::Draft;
use crate::bulk::{self, BulkItem};
use crate::error::Result;
use crate::host::HostName;

/// Changes 1 to 100 identities, modules and twins.
pub fn bulk(host: &HostName, items: &[BulkItem]) -> Result<Request<Bytes>> {
    Draft::post(host, &["devices"])
        .body(bulk::to_body(items)?)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::draft::tests::{host, text};

    #[test]
    fn a_bulk_call_posts_a_bare_array() {
        let ids = ["a", "b"].map(|id| BulkItem::delete_any_version(&id.parse().unwrap()));
        assert_eq!(
            text(bulk(&host(), &ids)),
            "POST /devices?api-version=2021-04-12\n\
             accept: application/json\n\
             content-type: application/json; charset=utf-8\n\
             [{\"id\":\"a\",\"importMode\":\"delete\"},{\"id\":\"b\",\"importMode\":\"delete\"}]"
        );
    }
}
