//! The bare programs that the product is measured beside: the same calls, without any logic.
//!
//! They have no records to understand, no order of events, no pace, no leases and nothing to recover
//! from; they trust every answer. What the product needs beyond them is the price of being right.

mod hub;
mod null;
mod relay;
mod responder;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use async_nats::jetstream::{self, consumer::PullConsumer};
use serde::{Deserialize, Serialize};

use self::hub::BareMender;
pub(super) use self::hub::{BULK, BareHub};
pub(super) use self::responder::SUBJECT as TWINS;

/// Their consumer of their work queues.
pub(super) const CONSUMER: &str = "bare";
/// One message for each event that has ended.
pub(super) const OUTCOMES: &str = "BARE_OUTCOMES";
/// Their records.
pub(super) const BUCKET: &str = "bare_devices";
/// Messages in work at once, as the product has by default.
const AT_ONCE: usize = 128;
/// Of these, requests to the hub.
const HUB_AT_ONCE: usize = 32;

/// What a bare program is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) role: Role,
    pub(super) nats: String,
    /// The hub's connection string.
    pub(super) hub: String,
    pub(super) ca_file: PathBuf,
    /// Address of Mender's services.
    pub(super) mender: String,
}

/// Which bare program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// Makes every call that the product makes for an event.
    Null,
    /// Passes each message on to the hub.
    Relay,
    /// Answers requests for twins with what the hub says.
    Responder,
}

impl Role {
    /// Its work queue, if it has one, on `<name>.event.<what>.<device>`.
    pub(super) const fn events(self) -> Option<&'static str> {
        match self {
            Self::Null => Some("NULL_EVENTS"),
            Self::Relay => Some("RELAY_EVENTS"),
            Self::Responder => None,
        }
    }

    /// The name of the program, and what its subjects begin with.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Relay => "relay",
            Self::Responder => "responder",
        }
    }

    /// The subject that has `what` done to a device: `create` or `remove`.
    pub(super) fn subject(self, what: &str, device: &str) -> String {
        format!("{}.event.{what}.{device}", self.name())
    }
}

/// Does as a file says until it is killed.
pub(super) async fn run(file: &Path) -> Result<()> {
    let order: Order = serde_json::from_slice(&fs::read(file)?).context("not an order")?;
    let client = async_nats::connect(&order.nats).await?;
    let hub = BareHub::new(&order.hub, &fs::read(&order.ca_file)?)?;
    let context = jetstream::new(client.clone());
    match order.role {
        Role::Null => {
            let mender = BareMender::new(&order.mender);
            let consumer = consumer(&context, order.role).await?;
            null::run(context, consumer, hub, mender).await
        }
        Role::Relay => relay::run(consumer(&context, order.role).await?, hub).await,
        Role::Responder => responder::run(client, hub).await,
    }
}

/// The consumer of the program's work queue. From now on it takes messages.
async fn consumer(context: &jetstream::Context, role: Role) -> Result<PullConsumer> {
    let events = role.events().context("no work queue")?;
    let consumer = context.get_consumer_from_stream(CONSUMER, events).await;
    let consumer = consumer.context("no consumer")?;
    ready();
    Ok(consumer)
}

fn ready() {
    println!(r#"{{"ready":true}}"#);
}

/// Of `<name>.event.<what>.<device>`: what is asked, and of whom.
fn asked(subject: &str) -> Result<(&str, &str)> {
    let mut tokens = subject.split('.').skip(2);
    let both = tokens.next().zip(tokens.next());
    both.with_context(|| format!("not a subject: {subject}"))
}
