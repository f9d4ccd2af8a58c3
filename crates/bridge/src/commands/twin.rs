//! `twin get|set`: asks the twin service over NATS, as any back end would.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use messages::twin::{SetRequest, TwinDocument};
use serde_json::Value;

use crate::cli::{OneDevice, Output, Twin};
use crate::config::Config;
use crate::print;
use crate::session::Session;

pub(crate) async fn run(config: &Config, what: Twin, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    // A throttled hub answers late; the service answers 504 before this.
    let patience = config.hub.request_timeout() + Duration::from_secs(5);
    let twin = match what {
        Twin::Get(device) => ask(&session, "get", &device, Vec::new(), patience).await?,
        Twin::Set {
            device,
            desired,
            etag,
        } => {
            let request = SetRequest {
                desired: read_json(&desired)?,
                etag,
            };
            let body = serde_json::to_vec(&request)?;
            ask(&session, "set", &device, body, patience).await?
        }
    };
    print::result(output, &twin, in_words)
}

async fn ask(
    session: &Session,
    verb: &str,
    of: &OneDevice,
    body: Vec<u8>,
    patience: Duration,
) -> anyhow::Result<TwinDocument> {
    let subject = format!(
        "{}.twin.{verb}.{}.{}",
        session.names.prefix(),
        of.of.tenant.to_token(),
        of.device.to_token()
    );
    let request = async_nats::Request::new()
        .payload(body.into())
        .timeout(Some(patience));
    let reply = session
        .client
        .send_request(subject, request)
        .await
        .map_err(|error| match error.kind() {
            async_nats::client::RequestErrorKind::NoResponders => {
                anyhow!(
                    "nobody answers twin requests: is the worker (`mender-iothub run`) running?"
                )
            }
            _ => anyhow!("the twin service did not answer: {error}"),
        })?;
    let header = |name: &str| reply.headers.as_ref()?.get(name).map(ToString::to_string);
    if let Some(code) = header(async_nats::service::NATS_SERVICE_ERROR_CODE) {
        let text = header(async_nats::service::NATS_SERVICE_ERROR).unwrap_or_default();
        bail!("{}", print::harmless(format!("{text} ({code})")));
    }
    TwinDocument::parse(&reply.payload).context("the reply of the twin service")
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("standard input")?;
        text
    } else {
        std::fs::read_to_string(path).with_context(|| path.display().to_string())?
    };
    serde_json::from_str(&text).context("the desired properties are not JSON")
}

fn in_words(twin: &TwinDocument) -> String {
    let section = |value: &Value| {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        text.replace('\n', "\n  ")
    };
    let text = format!(
        "etag      {}\nversion   {}\ndesired\n  {}\nreported\n  {}\ntags\n  {}",
        twin.etag,
        twin.version,
        section(&twin.desired),
        section(&twin.reported),
        section(&twin.tags)
    );
    print::harmless(text)
}
