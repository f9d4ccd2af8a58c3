//! The command line.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;
use rustls_pki_types::ServerName;

use crate::auth::{Permission, Policy};
use crate::choices::Choices;
use crate::entra::apps::App;
use crate::throttle::Tier;

const EXAMPLE: &str = "\
Once ready it prints one JSON line: listen, control, hub, connection_string, ca_file, and mqtt if
devices may connect. Their SDKs take no port, so give --mqtt 127.0.0.1:8883; what a device connects
with is told by the control port at /devices/{id}/connection-string.

Example, with the Python SDK (pip install azure-iot-hub six):
  iothub-emulator --listen 127.0.0.1:8443 --tls-dir certificates
  export REQUESTS_CA_BUNDLE=certificates/ca.pem
  python3 - \"$CONNECTION_STRING\" <<'EOF'
  import sys
  from azure.iot.hub import IoTHubRegistryManager
  hub = IoTHubRegistryManager.from_connection_string(sys.argv[1])
  print(hub.get_devices())
  EOF";

/// An emulator of Azure IoT Hub: the service API over HTTPS, devices over MQTT or scripted, with a
/// control port for faults, edits by hand and a journal of all requests.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLE)]
pub(crate) struct Options {
    /// Where to serve the hub over TLS; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,

    /// Where devices connect by MQTT over TLS; device SDKs always use port 8883. Off if left out
    #[arg(long, value_name = "ADDR")]
    pub(crate) mqtt: Option<SocketAddr>,

    /// Connections of devices at the same time
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) mqtt_connections: usize,

    /// Where to serve the control port over plain HTTP; loopback only
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = loopback)]
    pub(crate) control: SocketAddr,

    /// Host name of the hub; a full name such as myhub.azure-devices.net is used without port
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub(crate) hub: HubName,

    /// Directory of the test authority and the server certificate; made if they are missing
    #[arg(long, value_name = "DIR")]
    pub(crate) tls_dir: PathBuf,

    /// A shared access policy; repeatable. Without any: iothubowner, a random key, all permissions.
    /// Permissions: RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect
    #[arg(long = "policy", value_name = "NAME=KEY:PERM,PERM")]
    pub(crate) policies: Vec<NamedPolicy>,

    /// Refuse all shared access signatures, as a hub does that allows Entra ID only
    #[arg(long)]
    pub(crate) no_shared_access: bool,

    /// An application that the built-in test issuer knows, with a secret and roles; repeatable.
    /// Roles: the built-in ones by name ("IoT Hub Data Contributor"), or data actions (twins/read)
    #[arg(long = "entra-app", value_name = "CLIENT_ID=SECRET:ROLE,ROLE")]
    pub(crate) entra_apps: Vec<App>,

    /// How long the issuer's tokens are good for, in seconds
    #[arg(long, value_name = "N", default_value_t = 3_599)]
    pub(crate) token_lifetime_s: u64,

    /// What the App Service kind of managed identity wants as X-IDENTITY-HEADER; random if left out
    #[arg(long, value_name = "TEXT")]
    pub(crate) identity_header: Option<String>,

    /// Edition of the hub, which sets the throttling limits
    #[arg(long, value_enum, default_value_t = Tier::Unlimited)]
    pub(crate) tier: Tier,

    /// Units of that edition
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) units: u32,

    /// How fast the clock of the throttling limits runs: with 10 a minute's allowance is there after
    /// six seconds, and everything else keeps its pace
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) throttle_speed: u32,

    /// Time added to each request, in milliseconds; half of it before it takes effect
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) latency_ms: u64,

    /// How far queries lag behind writes, in milliseconds; for so long deleted devices linger in them
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) query_lag_ms: u64,

    /// A file with the behaviour of every new device, as the control port takes it (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) behaviour: Option<PathBuf>,

    /// How often configurations are applied to the devices they target, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) configuration_ms: u64,

    /// Directory whose folders stand for blob containers; import and export jobs need it
    #[arg(long, value_name = "DIR")]
    pub(crate) blob_dir: Option<PathBuf>,

    /// How long an import or export job waits before it begins, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) transfer_ms: u64,

    /// Directory to keep the state in, so that it survives a restart; in memory if left out
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// Requests the journal remembers
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) journal_limit: usize,

    /// A file to write every exchange to, with bodies, one JSON object a line. It holds the keys of
    /// devices; journal and logs never do
    #[arg(long, value_name = "FILE")]
    pub(crate) exchanges: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) choices: Choices,
}

impl Options {
    /// The policies asked for, or the default one with this key.
    pub(crate) fn take_policies(&mut self, owner_key: &str) -> Vec<NamedPolicy> {
        if self.policies.is_empty() {
            let everything = Permission::ALL.to_vec();
            let (name, key) = ("iothubowner".to_owned(), owner_key.to_owned());
            let policy =
                Policy::new([key.as_str()], everything).expect("a key just encoded is base64");
            return vec![NamedPolicy { name, key, policy }];
        }
        std::mem::take(&mut self.policies)
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|error| format!("{error}"))?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(
        "the control port shows keys and takes orders from anyone, so it must be on loopback"
            .to_owned(),
    )
}

/// The name of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HubName(String);

impl HubName {
    /// The name alone.
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// The name as it stands in a connection string: a full DNS name is taken to be served on the
    /// usual port, anything else needs ours.
    pub(crate) fn host(&self, port: u16) -> String {
        let full = matches!(
            ServerName::try_from(self.name()),
            Ok(ServerName::DnsName(_))
        ) && self.0.contains('.');
        if full {
            self.0.clone()
        } else {
            format!("{}:{port}", self.0)
        }
    }
}

impl FromStr for HubName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.to_ascii_lowercase();
        match ServerName::try_from(name.as_str()) {
            // An IPv6 address would need brackets in every place it is used.
            Ok(_) if !name.contains(':') => Ok(Self(name)),
            _ => Err("a hub name is a DNS name or an IPv4 address, without port".to_owned()),
        }
    }
}

/// A policy under its name, with the text of its key for the connection string.
#[derive(Clone)]
pub(crate) struct NamedPolicy {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) policy: Policy,
}

impl fmt::Debug for NamedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedPolicy")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl FromStr for NamedPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || "a policy is written NAME=KEY:PERM,PERM".to_owned();
        let (name, rest) = text.split_once('=').ok_or_else(shape)?;
        let (key, permissions) = rest.rsplit_once(':').ok_or_else(shape)?;
        if name.is_empty() || name.contains([';', '&']) {
            return Err("the name of a policy is letters, digits and - _ . @".to_owned());
        }
        let permissions = permissions
            .split(',')
            .map(Permission::parse)
            .collect::<Result<_, _>>()?;
        let policy = Policy::new([key], permissions)?;
        Ok(Self {
            name: name.to_owned(),
            key: key.to_owned(),
            policy,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODw==";

    fn parse(args: &[&str]) -> Result<Options, String> {
        let all = ["iothub-emulator", "--tls-dir", "x"].iter().chain(args);
        Options::try_parse_from(all).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn defaults_are_free_ports_on_loopback_and_one_random_owner() {
        let mut options = parse(&[]).unwrap();
        assert_eq!(options.listen.to_string(), "127.0.0.1:0");
        assert_eq!((options.tier, options.units), (Tier::Unlimited, 1));
        let policies = options.take_policies(KEY);
        assert_eq!(
            (policies[0].name.as_str(), policies[0].key.as_str()),
            ("iothubowner", KEY)
        );
    }

    #[test]
    fn the_control_port_is_refused_anywhere_but_on_loopback() {
        assert!(
            parse(&["--control", "0.0.0.0:1"])
                .unwrap_err()
                .contains("loopback")
        );
        assert!(parse(&["--control", "127.0.0.2:1"]).is_ok());
    }

    #[test]
    fn a_policy_has_a_name_a_key_and_permissions() {
        let text = format!("reader={KEY}:registryread,SERVICECONNECT");
        let options = parse(&["--policy", &text]).unwrap();
        assert_eq!(
            (
                options.policies[0].name.as_str(),
                options.policies[0].key.as_str()
            ),
            ("reader", KEY)
        );
        for bad in [
            "reader",
            "reader=key",
            &format!("reader={KEY}:Everything"),
            "=a:RegistryRead",
            "r=!!:RegistryRead",
        ] {
            assert!(parse(&["--policy", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_output_shows_no_key() {
        let text = format!("reader={KEY}:RegistryRead");
        assert!(!format!("{:?}", parse(&["--policy", &text]).unwrap()).contains("AAEC"));
    }

    #[test]
    fn only_a_full_hub_name_goes_without_port() {
        let host = |name: &str| name.parse::<HubName>().unwrap().host(8443);
        assert_eq!(host("localhost"), "localhost:8443");
        assert_eq!(host("127.0.0.1"), "127.0.0.1:8443");
        assert_eq!(host("MyHub.azure-devices.net"), "myhub.azure-devices.net");
        assert!("my hub".parse::<HubName>().is_err());
        assert!("localhost:1".parse::<HubName>().is_err());
    }
}
