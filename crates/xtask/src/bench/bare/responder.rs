//! The responder: takes a request, asks the hub, answers. It does not look whose the device is.

use anyhow::{Context as _, Result, bail};
use async_nats::Client;
use futures::StreamExt as _;

use super::{BareHub, ready};

/// The subject of requests, and behind it the device.
pub(in super::super) const SUBJECT: &str = "responder.twin.get";

pub(super) async fn run(client: Client, hub: BareHub) -> Result<()> {
    let mut requests = client.subscribe(format!("{SUBJECT}.*")).await?;
    client.flush().await?;
    ready();
    while let Some(request) = requests.next().await {
        let (client, hub) = (client.clone(), hub.clone());
        tokio::spawn(async move {
            let answered = async {
                let device = request.subject.rsplit('.').next().context("no device")?;
                hub.twin(device).await?;
                let reply = request.reply.clone().context("nobody asks")?;
                client.publish(reply, "{}".into()).await?;
                anyhow::Ok(())
            };
            if let Err(error) = answered.await {
                eprintln!("{}: {error:#}", request.subject);
            }
        });
    }
    bail!("no more requests")
}
