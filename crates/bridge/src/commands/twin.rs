//! `twin …`: asks the twin service over NATS, as any back end would.

mod ask;
mod edit;
mod job;
mod query;
mod show;
mod watch;

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use messages::twin::{MethodReply, MethodRequest, PatchRequest, SetRequest, TwinDocument};
use serde_json::Value;

use crate::cli::{Call, OneTwin, Output, Twin, TwinCommand};
use crate::config::Config;
use crate::print;
use crate::session::Session;
use ask::{Service, Subject};

/// What the way to the device and back may take beyond its own time.
const SLACK: Duration = Duration::from_secs(10);

pub(crate) async fn run(config: &Config, twin: Twin, output: Output) -> anyhow::Result<()> {
    let session = Session::for_command(config).await?;
    // A throttled hub answers late.
    let patience = config.hub.request_timeout();
    let service = Service::new(session, patience, twin.token_file.as_deref())?;
    match twin.what {
        TwinCommand::Get {
            of,
            watch: false,
            every_s: _,
        } => shown(output, &service.twin("get", &of, Vec::new()).await?),
        TwinCommand::Get { of, every_s, .. } => {
            watch::run(&service, &of, Duration::from_secs(every_s), output).await
        }
        TwinCommand::Set { of, desired, etag } => {
            let desired = read_json(&desired)?;
            let request = SetRequest { desired, etag };
            shown(output, &service.twin("set", &of, request.to_body()).await?)
        }
        TwinCommand::Patch {
            of,
            desired,
            tags,
            etag,
        } => {
            let request = PatchRequest {
                desired: desired.as_deref().map(read_json).transpose()?,
                tags: tags.as_deref().map(read_json).transpose()?,
                etag,
            };
            shown(
                output,
                &service.twin("patch", &of, request.to_body()).await?,
            )
        }
        TwinCommand::Edit { of } => edit::run(&service, &of, output).await,
        TwinCommand::Query { of, query, limit } => {
            query::run(&service, &of.tenant, &query, limit, output).await
        }
        TwinCommand::Method { of, name, call } => method(service, &of, name, &call, output).await,
        TwinCommand::Job(what) => job::run(&service, what, output).await,
    }
}

fn shown(output: Output, twin: &TwinDocument) -> anyhow::Result<()> {
    print::result(output, twin, show::twin)
}

async fn method(
    service: Service,
    of: &OneTwin,
    name: String,
    call: &Call,
    output: Output,
) -> anyhow::Result<()> {
    let request = request(name, call)?;
    let seconds = request.response_timeout_s + request.connect_timeout_s;
    let service = service.with_patience(Duration::from_secs(seconds) + SLACK);
    let subject = Subject::of("method", of);
    let body = service.ask(&subject, request.to_body()).await?;
    let reply = MethodReply::parse(&body).context("the reply of the twin service")?;
    print::result(output, &reply, show::method)?;
    if reply.status >= 400 {
        bail!("the device answered with status {}", reply.status);
    }
    Ok(())
}

/// A method as the command line has it.
fn request(name: String, call: &Call) -> anyhow::Result<MethodRequest> {
    let payload = call.payload.as_deref().map(read_json).transpose()?;
    Ok(MethodRequest {
        name,
        payload: payload.unwrap_or_default(),
        response_timeout_s: call.response_timeout_s,
        connect_timeout_s: call.connect_timeout_s,
    })
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
    let what = path.display();
    serde_json::from_str(&text).with_context(|| format!("{what} is not JSON"))
}
