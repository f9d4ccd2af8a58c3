//! A script that is a device, and an address for its hub.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use anyhow::{Context as _, Result};
use black_box::{
    Process,
    emulator::DEVICE_PORT,
    skips,
    tools::{AzureSdk, InstalledSdk},
};
use serde_json::Value;

use crate::conformance::Who;
use crate::stage::SOON;

/// An SDK with the script that uses it.
pub(crate) struct Sdk {
    kind: AzureSdk,
    installed: InstalledSdk,
}

impl Sdk {
    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            AzureSdk::Python => "python",
            AzureSdk::Node => "node",
        }
    }

    pub(super) fn who(&self) -> Who {
        match self.kind {
            AzureSdk::Python => Who::Python,
            AzureSdk::Node => Who::Node,
        }
    }

    /// Where it is.
    pub(crate) fn installed(&self) -> &InstalledSdk {
        &self.installed
    }

    fn script(&self) -> PathBuf {
        self.kind.scripts().join(match self.kind {
            AzureSdk::Python => "device.py",
            AzureSdk::Node => "device.js",
        })
    }
}

/// The SDK and an address for the hub; `None`, with a word, on a machine that has one of them not.
pub(crate) async fn room(kind: AzureSdk, test: &str) -> Result<Option<(Sdk, Ipv4Addr)>> {
    let installed = match tokio::task::spawn_blocking(move || kind.installed()).await? {
        Ok(installed) => installed,
        Err(reason) => {
            skips::skip(test, &format!("no {kind:?} SDK: {reason:#}"));
            return Ok(None);
        }
    };
    let Some(at) = address() else {
        skips::skip(
            test,
            &format!(
                "device SDKs connect to port {DEVICE_PORT} only, and it is free on no loopback address that was tried \
                 (127.64.0.0/10); end what listens on 0.0.0.0:{DEVICE_PORT}, or give the loopback interface such addresses"
            ),
        );
        return Ok(None);
    };
    Ok(Some((Sdk { kind, installed }, at)))
}

/// A loopback address on which the port of devices is free. Each process and each test has others,
/// so that tests run side by side.
fn address() -> Option<Ipv4Addr> {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let mut candidates = (0..8).map(|_| {
        let own = LAST.fetch_add(1, Ordering::Relaxed);
        Ipv4Addr::new(127, 64 | (high & 63), low, 1 | (own << 1))
    });
    candidates.find(|it| TcpListener::bind((*it, DEVICE_PORT)).is_ok())
}

/// A running device.
pub(super) struct Device {
    process: Process,
    lines: PathBuf,
    read: usize,
}

impl Device {
    pub(super) fn start(sdk: &Sdk, name: &str, ca_file: &Path, dir: &Path) -> Result<Self> {
        let installed = &sdk.installed;
        let mut command = Command::new(&installed.interpreter);
        command
            .arg(sdk.script())
            .env(installed.path_variable, &installed.packages)
            .env("DEVICE_CONNECTION_STRING", name)
            .env("REQUESTS_CA_BUNDLE", ca_file)
            .env("NODE_EXTRA_CA_CERTS", ca_file)
            .env("NO_PROXY", "*")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(Self {
            process: Process::start("device", command, dir)?,
            lines: dir.join("device.out"),
            read: 0,
        })
    }

    /// The next line about this, whatever comes before it.
    pub(super) async fn says(&mut self, event: &str) -> Result<Value> {
        let (lines, from) = (self.lines.clone(), self.read);
        let look = async || {
            let text = fs::read_to_string(&lines)?;
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            for (number, line) in complete.lines().enumerate().skip(from) {
                let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
                if line["event"] == event {
                    return Ok(Some((number + 1, line)));
                }
            }
            Ok(None)
        };
        let (read, line) = self.process.while_running(SOON, event, look).await?;
        self.read = read;
        Ok(line)
    }
}
