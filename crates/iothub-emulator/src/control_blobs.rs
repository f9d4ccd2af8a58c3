//! Blobs on the control port, so that a test can lay out a file to import and fetch what was
//! exported without sharing a directory.

use std::fs;

use http::StatusCode;

use crate::chunks::Chunks;
use crate::control::{Reply, nothing, problem, reply};
use crate::hub::Hub;

/// Answers a request about one blob.
pub(crate) fn answer(hub: &Hub, method: &str, container: &str, blob: &str, body: &[u8]) -> Reply {
    let Some(container) = hub.blobs.named(container) else {
        return problem(
            StatusCode::NOT_FOUND,
            "no --blob-dir, or not the name of a container",
        );
    };
    let Some(file) = container.file(blob) else {
        return problem(StatusCode::BAD_REQUEST, "not the name of a blob");
    };
    let done = match method {
        "GET" => fs::read_to_string(file).map(|text| {
            let body = Chunks::whole(text);
            reply(StatusCode::OK, "text/plain; charset=utf-8", body)
        }),
        "PUT" => container
            .make()
            .and_then(|()| fs::write(file, body))
            .map(|()| nothing()),
        "DELETE" => fs::remove_file(file).map(|()| nothing()),
        _ => {
            let text = "this path does not take that method";
            return problem(StatusCode::METHOD_NOT_ALLOWED, text);
        }
    };
    done.unwrap_or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => problem(StatusCode::NOT_FOUND, "no such blob"),
        _ => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    })
}
