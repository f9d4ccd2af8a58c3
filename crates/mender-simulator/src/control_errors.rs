//! Why a control call did nothing.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::fleet::FleetError;

/// A control call that was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ControlError {
    /// The body is not what the call takes.
    #[error("{0}")]
    Body(String),
    /// The devices do not change like that.
    #[error("{0}")]
    Fleet(#[from] FleetError),
    /// The NATS server will never take the message.
    #[error("failed to publish: {0}")]
    Unpublishable(String),
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Body(_) | Self::Fleet(FleetError::NewStatus(_)) => StatusCode::BAD_REQUEST,
            Self::Fleet(FleetError::Unknown(_)) => StatusCode::NOT_FOUND,
            Self::Fleet(_) => StatusCode::CONFLICT,
            Self::Unpublishable(_) => StatusCode::PAYLOAD_TOO_LARGE,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}
