//! A bare program as a process, with streams of its own beside those of the product.

use std::{env, fs, path::Path, process::Command, time::Duration};

use anyhow::Result;
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, pull},
    stream::{self, RetentionPolicy},
};
use black_box::Process;
use serde::Deserialize;

use super::{
    bare::{BUCKET, CONSUMER, OUTCOMES, Order, Role},
    stage::Stage,
};

const START: Duration = Duration::from_secs(30);

/// A running bare program.
pub(super) struct Rival {
    pub(super) process: Process,
}

#[derive(Deserialize)]
struct Ready {
    #[serde(rename = "ready")]
    _ready: bool,
}

impl Rival {
    /// Makes its streams, as the product's are, if it needs any, and starts it.
    pub(super) async fn start(dir: &Path, stage: &Stage, role: Role) -> Result<Self> {
        make(&stage.context, role).await?;
        let order = Order {
            role,
            nats: stage.bus.urls(),
            hub: stage.hub.connection_string().to_owned(),
            ca_file: stage.hub.ca_file().to_owned(),
            mender: stage.mender.listen().to_owned(),
        };
        let file = dir.join(format!("{}.json", role.name()));
        fs::write(&file, serde_json::to_vec(&order)?)?;
        let mut command = Command::new(env::current_exe()?);
        command.arg("bench").arg("--bare").arg(&file);
        let mut process = Process::start(role.name(), command, dir)?;
        process.ready_line::<Ready>(START).await?;
        Ok(Self { process })
    }
}

async fn make(context: &jetstream::Context, role: Role) -> Result<()> {
    let Some(name) = role.events() else {
        return Ok(());
    };
    let events = context.create_stream(stream::Config {
        name: name.to_owned(),
        subjects: vec![role.subject("*", "*")],
        retention: RetentionPolicy::WorkQueue,
        allow_direct: true,
        duplicate_window: Duration::from_secs(120),
        ..stream::Config::default()
    });
    let consumer = pull::Config {
        durable_name: Some(CONSUMER.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(30),
        max_ack_pending: 5_000,
        ..pull::Config::default()
    };
    events.await?.create_consumer(consumer).await?;
    if role != Role::Null {
        return Ok(());
    }
    let others = [
        (OUTCOMES.to_owned(), "bare.outcome.>".to_owned(), -1),
        (format!("KV_{BUCKET}"), format!("$KV.{BUCKET}.>"), 1),
    ];
    for (name, subject, per_subject) in others {
        let config = stream::Config {
            name,
            subjects: vec![subject],
            max_messages_per_subject: per_subject,
            allow_rollup: per_subject == 1,
            duplicate_window: Duration::from_secs(120),
            ..stream::Config::default()
        };
        context.create_stream(config).await?;
    }
    Ok(())
}
