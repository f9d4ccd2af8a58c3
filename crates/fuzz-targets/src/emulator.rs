//! The emulator's readers: whatever an SDK, or somebody who is none, may send.

use iothub_emulator::parsers;

use crate::text;

/// The first moment of 2026, when no token of the corpus has ended.
const NOW: u64 = 1_767_225_600;

pub(crate) fn sas_header(bytes: &[u8]) {
    if let Some(header) = text(bytes) {
        let _ = parsers::shared_access_signature(header, NOW);
    }
}

pub(crate) fn query(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let _ = parsers::query(text);
        let _ = parsers::continuation(text);
    }
}

pub(crate) fn twin_patch(bytes: &[u8]) {
    let _ = parsers::twin_edit(bytes);
}

/// What a device sends.
pub(crate) fn mqtt_packets(bytes: &[u8]) {
    let whole = parsers::mqtt(bytes);
    // Less than all of something is never more than it.
    if let Some((_, part)) = bytes.split_last() {
        assert!(whole || !parsers::mqtt(part), "a part is a packet");
    }
}

pub(crate) fn request_path(bytes: &[u8]) {
    if let Some(path) = text(bytes) {
        let _ = parsers::path(path);
    }
}

pub(crate) fn identity_body(bytes: &[u8]) {
    let _ = parsers::identity(bytes);
    let _ = parsers::control(bytes);
}
