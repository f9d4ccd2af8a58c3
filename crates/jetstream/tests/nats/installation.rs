//! One nats-server with everything of ours set up, and shorthand for the tests.

use std::time::Duration;

use async_nats::{HeaderMap, jetstream::Context};
use black_box::{NatsServer, TestDir};
use jetstream::{
    DeadLetters, Intake, IntakeSettings, Letter, Names, NatsAck, NatsStreams, Outcomes, Setup,
};
use lifecycle::{DeviceRef, Event, EventId, Status};
use messages::OutcomeMessage;
use messages::ops::LetterFilter;
use reconciler::ports::Task;
use tokio_util::sync::CancellationToken;

/// Longer than anything that is waited for takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Installation {
    // Dropped in this order: first the processes, then their folder.
    pub(crate) server: NatsServer,
    pub(crate) context: Context,
    pub(crate) names: Names,
    pub(crate) dir: TestDir,
}

impl Installation {
    /// A server with Mender's stream and everything that `setup` makes.
    pub(crate) async fn new(name: &str) -> Self {
        let this = Self::bare(name).await;
        this.make_source().await;
        this.set_up().await;
        this
    }

    /// A server without anything.
    pub(crate) async fn bare(name: &str) -> Self {
        let dir = TestDir::new(name).unwrap();
        let server = NatsServer::start(dir.path()).await.unwrap();
        let client = server.client().await.unwrap();
        Self {
            server,
            context: jetstream::context(client),
            names: Names::default(),
            dir,
        }
    }

    /// Mender's stream, as its workflows server makes it.
    pub(crate) async fn make_source(&self) {
        let config = async_nats::jetstream::stream::Config {
            name: "WORKFLOWS".to_owned(),
            subjects: vec!["WORKFLOWS.>".to_owned()],
            retention: async_nats::jetstream::stream::RetentionPolicy::WorkQueue,
            max_age: Duration::from_secs(24 * 60 * 60),
            num_replicas: 1,
            ..Default::default()
        };
        self.context.create_stream(config).await.unwrap();
    }

    pub(crate) async fn set_up(&self) -> Vec<jetstream::Change> {
        jetstream::setup(&self.context, &self.names, Setup::default())
            .await
            .unwrap()
    }

    pub(crate) async fn streams(&self) -> NatsStreams {
        NatsStreams::open(&self.context, &self.names).await.unwrap()
    }

    pub(crate) async fn intake(&self, stop: &CancellationToken) -> Intake {
        let settings = IntakeSettings::default();
        Intake::start(&self.context, self.streams().await, settings, stop.clone())
    }

    pub(crate) async fn publish(&self, subject: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, *value);
        }
        let body = body.to_vec().into();
        let sent = self
            .context
            .publish_with_headers(subject.to_owned(), map, body);
        sent.await.unwrap().await.unwrap();
    }

    pub(crate) async fn messages_in(&self, stream: &str) -> u64 {
        let mut stream = self.context.get_stream(stream).await.unwrap();
        stream.info().await.unwrap().state.messages
    }

    /// All dead letters, oldest first; or those of a tenant or a device.
    pub(crate) async fn letters(&self, tenant: Option<&str>, device: Option<&str>) -> Vec<Letter> {
        let letters = DeadLetters::open(&self.context, &self.names).await.unwrap();
        let filter = letter_filter(tenant, device);
        let mut scan = letters.scan(&filter).await.unwrap();
        let mut found = Vec::new();
        while let Some(head) = scan.next().await.unwrap() {
            let letter = letters.get(head.sequence).await.unwrap().unwrap();
            assert_eq!(letter.head, head);
            found.push(letter);
        }
        found
    }

    pub(crate) async fn outcome(&self, event: &str) -> OutcomeMessage {
        let outcomes = Outcomes::open(&self.context, &self.names).await.unwrap();
        let id = EventId(event.to_owned());
        let outcome = outcomes.wait(&id, None, PATIENCE).await.unwrap();
        outcome.unwrap_or_else(|| panic!("no outcome of {event}"))
    }
}

pub(crate) fn letter_filter(tenant: Option<&str>, device: Option<&str>) -> LetterFilter {
    LetterFilter {
        tenant: tenant.map(|id| id.parse().unwrap()),
        device: device.map(|id| id.parse().unwrap()),
        ..LetterFilter::default()
    }
}

pub(crate) async fn next(intake: &mut Intake) -> Task<NatsAck> {
    let task = tokio::time::timeout(PATIENCE, intake.next()).await;
    task.expect("no work came").expect("the intake has ended")
}

/// Says that no work comes within a time in which it would come many times over.
pub(crate) async fn nothing(intake: &mut Intake) {
    let task = tokio::time::timeout(Duration::from_millis(500), intake.next()).await;
    assert!(task.is_err(), "work came: {task:?}");
}

pub(crate) fn device(tenant: &str, device: &str) -> DeviceRef {
    DeviceRef {
        tenant: tenant.parse().unwrap(),
        device: device.parse().unwrap(),
    }
}

pub(crate) fn event(id: &str, about: &DeviceRef) -> Event {
    Event {
        id: EventId(id.to_owned()),
        about: about.clone(),
        status: Status::Accepted,
        revision: Some(3),
        created: None,
        replay: 0,
    }
}
