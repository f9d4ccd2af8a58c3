//! Connects the reconciler to NATS JetStream.
//!
//! The reconciler's ports live here on streams, consumers and key-value buckets: [`KvDevices`] is
//! the device store, [`NatsStreams`] takes wake-ups, dead letters and outcomes, [`Intake`] hands
//! out work, and [`Ingest`] brings Mender's messages in. [`setup()`] makes what they need; they
//! themselves only open it, so a worker needs no administrator's rights. For operators there are
//! [`DeadLetters`], [`Outcomes`] and [`status()`].
//!
//! Two rules hold everywhere. What must not be lost is published and its acknowledgement awaited
//! before the message it came from is acknowledged, and that acknowledgement is confirmed too. And
//! no publish or write depends on having been tried only once: each is either a compare-and-set
//! or bears a name by which a repetition is known.

mod ack;
mod advisories;
mod assets;
mod backlog;
mod connect;
mod dead_letters;
mod devices;
mod error;
mod feed;
mod headers;
mod ingest;
mod inspect;
mod intake;
mod integrations;
mod keys;
mod letter_scan;
mod letters;
mod names;
mod open;
mod opened;
mod outcome_feed;
mod outcomes;
mod publish;
mod pull;
mod recent;
mod replay;
mod server_time;
mod setup;
mod status;
mod streams;
mod sweeps;
mod tail;

pub use ack::NatsAck;
pub use advisories::{Advisories, AdvisoryCounters};
pub use backlog::{Backlog, Waiting, backlog};
pub use connect::{Auth, ConnectOptions, Refusals, check_server, connect, context};
pub use dead_letters::{DeadLetters, Letter, Life, Replayed};
pub use devices::KvDevices;
pub use error::{Error, Result};
pub use feed::{Fed, Feed, FeedState};
pub use ingest::{Ingest, IngestCounters, IngestSettings};
pub use inspect::{Account, AccountLimits, Inspected, account, inspect};
pub use intake::{Intake, IntakeCounters, IntakeSettings};
pub use integrations::{IntegrationChange, IntegrationWatch, KvIntegrations};
pub use letter_scan::{LetterHead, LetterScan};
pub use names::{NameError, Names};
pub use outcome_feed::OutcomeFeed;
pub use outcomes::{Counted, Outcomes};
pub use recent::Reported;
pub use setup::{Action, Change, Setup, ensure_ingest_consumer, setup};
pub use status::{ConsumerStatus, Status, StreamStatus, status};
pub use streams::NatsStreams;
pub use sweeps::{KvSweeps, Lease, TURN, Turn};
pub use tail::{Logged, Tail, Wanted};
