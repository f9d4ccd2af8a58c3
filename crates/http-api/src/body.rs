//! Reading the body of a request, up to a length and within a time.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt as _;

use crate::reply::Reply;

/// How long a body may take.
const WITHIN: Duration = Duration::from_secs(10);
/// So much of a body that is too long is read all the same, so that the answer arrives: a client
/// that is still sending when the connection ends does not see it.
const DRAINED: usize = 8 * 1024 * 1024;

/// The body as text. Errors are answers.
pub(crate) async fn text(body: Body, longest: usize) -> Result<String, Reply> {
    let read = tokio::time::timeout(WITHIN, read(body, longest)).await;
    let late = |_| {
        Reply::error(
            StatusCode::REQUEST_TIMEOUT,
            "the request body came too slowly",
        )
    };
    let bytes = read.map_err(late)??;
    String::from_utf8(bytes).map_err(|_| Reply::bad("malformed request body: invalid UTF-8"))
}

async fn read(mut body: Body, longest: usize) -> Result<Vec<u8>, Reply> {
    let (mut held, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Reply::bad("malformed request body: unexpected EOF"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length = length.saturating_add(data.len());
        if length <= longest {
            held.extend_from_slice(&data);
        } else if length > longest.saturating_add(DRAINED) {
            break;
        } else {
            held = Vec::new();
        }
    }
    if length > longest {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(Reply::error(status, "http: request body too large"));
    }
    Ok(held)
}
