//! The command line.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

/// Simulates the parts of a Mender server that a lifecycle worker talks to: deviceauth,
/// deviceconfig and the workflows publisher. Once ready it prints one JSON line on stdout.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Options {
    /// Where to serve Mender's internal APIs and the control API.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,

    /// The NATS server that events go to.
    #[arg(long, value_name = "URL")]
    pub(crate) nats: String,

    /// Whose event shapes and rules to follow.
    #[arg(long, value_name = "VERSION", default_value = "main")]
    pub(crate) server_version: ServerVersion,

    /// How events leave the server.
    #[arg(long, value_name = "WAY", default_value = "workflows")]
    pub(crate) hub_events: HubEvents,

    /// The iot-manager that is called, for `--hub-events iot-manager`.
    #[arg(
        long,
        value_name = "HOST:PORT",
        required_if_eq("hub_events", "iot-manager")
    )]
    pub(crate) iot_manager: Option<String>,
}

/// The Mender server that is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServerVersion {
    /// v4.0
    #[value(name = "4.0")]
    V40,
    /// v4.1, in all that matters here like v4.0
    #[value(name = "4.1")]
    V41,
    /// The newest main branch.
    #[value(name = "main")]
    Main,
}

impl ServerVersion {
    /// Whether this is v4.0 or v4.1.
    pub(crate) fn is_v4(self) -> bool {
        matches!(self, Self::V40 | Self::V41)
    }
}

/// How events leave the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HubEvents {
    /// By the `nats` tasks of mounted workflow definitions, on the stream `WORKFLOWS`.
    Workflows,
    /// By the calls of iot-manager that the built-in definitions make.
    IotManager,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nats_url_has_to_be_given() {
        let options = Options::try_parse_from(["mender-simulator", "--nats", "nats://n"])
            .expect("it is enough");
        assert_eq!(options.listen.to_string(), "127.0.0.1:0");
        assert_eq!(options.server_version, ServerVersion::Main);
        assert!(Options::try_parse_from(["mender-simulator"]).is_err());
    }

    #[test]
    fn versions_are_called_as_mender_calls_them() {
        for (name, v4) in [("4.0", true), ("4.1", true), ("main", false)] {
            let version = ServerVersion::from_str(name, false).expect("a version");
            assert_eq!(version.is_v4(), v4);
        }
    }
}
