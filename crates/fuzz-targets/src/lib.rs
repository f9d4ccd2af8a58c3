//! Everything that reads bytes of strangers, as functions a fuzzer can call.
//!
//! A target takes any bytes and returns; a panic is a finding. Beyond "no panic" each asserts what
//! must hold of what it understood: no key in an error's text, no bookkeeping in a twin, the same
//! meaning when written and read again.
//!
//! The inputs that reached new code are kept in `corpus/<target>/`, and every test run goes through
//! all of them. `cargo xtask fuzz` looks for more, with cargo-fuzz and libFuzzer; the programs it
//! runs are in `cargo-fuzz/`, a workspace of its own so that no build of ours needs libFuzzer.

mod emulator;
mod hub;
mod mender;
mod trust;

/// One thing to throw bytes at.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of its corpus and of its program.
    pub name: &'static str,
    /// Panics on a finding.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 15] = [
    Target {
        name: "connection_string",
        run: hub::connection_string,
    },
    Target {
        name: "error_body",
        run: hub::error_body,
    },
    Target {
        name: "hub_answer",
        run: hub::answer,
    },
    Target {
        name: "sas_header",
        run: emulator::sas_header,
    },
    Target {
        name: "query",
        run: emulator::query,
    },
    Target {
        name: "twin_patch",
        run: emulator::twin_patch,
    },
    Target {
        name: "request_path",
        run: emulator::request_path,
    },
    Target {
        name: "identity_body",
        run: emulator::identity_body,
    },
    Target {
        name: "mqtt_packets",
        run: emulator::mqtt_packets,
    },
    Target {
        name: "mender_message",
        run: mender::message,
    },
    Target {
        name: "event",
        run: mender::event,
    },
    Target {
        name: "twin_request",
        run: mender::twin_request,
    },
    Target {
        name: "ops_request",
        run: mender::ops_request,
    },
    Target {
        name: "token",
        run: trust::token,
    },
    Target {
        name: "envelope",
        run: trust::envelope,
    },
];

/// Runs the target of that name.
///
/// # Panics
/// If there is none, or on a finding.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a program is named after its target").run)(bytes);
}

/// Bytes as text, if they are.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
