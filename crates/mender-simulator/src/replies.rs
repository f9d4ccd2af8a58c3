//! Answers that say no, in Mender's shape.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

/// An error object, as all of Mender's services give it.
pub(crate) fn refusal(status: StatusCode, reason: &str) -> Response {
    let request_id = Uuid::new_v4().to_string();
    (
        status,
        Json(json!({ "error": reason, "request_id": request_id })),
    )
        .into_response()
}
