//! One device, one hub and one worker, played step by step.

use std::time::Duration;

use lifecycle::{
    Context, DeliveryReply, Device, DeviceRef, Done, Effect, Event, EventId, Facts, Failure, Fate,
    HubView, HubWrite, Input, IntegrationRef, IntentId, KeyChange, KeySlot, Keys, Mark, MenderView,
    Outcome, ReadReply, Record, RetryPolicy, Status, Timestamp, WriteReply, next,
};

/// A request takes effect within this time after its intent was stored, or never.
pub(crate) const LEASE: Duration = Duration::from_secs(130);
/// The same for a delivery.
pub(crate) const DELIVERY_LEASE: Duration = Duration::from_secs(60);
/// Longest total of waits before an event is given up.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(3600);
/// The first incarnation of the tests.
pub(crate) const C1: i64 = 1_000;
/// A newer one.
pub(crate) const C2: i64 = 2_000;

pub(crate) fn policy() -> RetryPolicy {
    let s = Duration::from_secs;
    RetryPolicy {
        first: s(2),
        cap: s(60),
        in_process: s(1),
        max_age: MAX_AGE,
        max_conflicts: 3,
        credentials: s(60),
        throttled: s(10),
        full: s(900),
        lease: LEASE,
        delivery_lease: DELIVERY_LEASE,
    }
}

pub(crate) fn hub(host: &str) -> IntegrationRef {
    IntegrationRef {
        id: "i".into(),
        hub: host.into(),
        generation: 1,
    }
}

pub(crate) fn down() -> Failure {
    Failure::Transient("down".into())
}

/// An event named after what it says.
pub(crate) fn event(status: Status, revision: u64) -> Event {
    Event {
        id: EventId(format!("{status}-{revision}")),
        about: DeviceRef {
            tenant: "t".parse().unwrap(),
            device: "d".parse().unwrap(),
        },
        status,
        revision: Some(revision),
        created: None,
        replay: 0,
    }
}

pub(crate) fn accepted(revision: u64) -> Event {
    event(Status::Accepted, revision)
}

pub(crate) fn rejected(revision: u64) -> Event {
    event(Status::Rejected, revision)
}

/// A decommission as Mender sends it: neither revision nor incarnation.
pub(crate) fn decommissioned() -> Event {
    event(Status::Decommissioned, 0).unnumbered()
}

/// Variations of an event.
pub(crate) trait Vary {
    fn named(self, id: &str) -> Self;
    fn of(self, incarnation: i64) -> Self;
    fn unnumbered(self) -> Self;
    fn replayed(self, times: u64) -> Self;
}

impl Vary for Event {
    fn named(mut self, id: &str) -> Self {
        self.id = EventId(id.into());
        self
    }
    fn of(mut self, incarnation: i64) -> Self {
        self.created = Some(Timestamp::from_micros(incarnation));
        self.id.0 = format!("{}-of-{incarnation}", self.id.0);
        self
    }
    fn unnumbered(mut self) -> Self {
        self.revision = None;
        self.id.0.push_str("-unnumbered");
        self
    }
    fn replayed(mut self, times: u64) -> Self {
        self.replay = times;
        self
    }
}

/// What the hub does with the next request.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Answers with this; the request has no effect.
    Refuse(Failure),
    /// The request takes effect, but the reply is lost.
    LoseReply,
    /// The request is lost, and nobody knows.
    LoseRequest,
}

/// Everything that one device's handling touches.
pub(crate) struct Scene {
    pub(crate) device: Device,
    pub(crate) now: Timestamp,
    pub(crate) integration: Option<IntegrationRef>,
    /// What the hub holds.
    pub(crate) identity: Option<Facts>,
    /// What deviceauth answers.
    pub(crate) mender: MenderView,
    /// What happens to the next hub writes.
    pub(crate) trouble: Vec<Trouble>,
    /// What happens to the next deliveries.
    pub(crate) undelivered: Vec<(Failure, Fate)>,
    /// Generations whose connection string reached the device.
    pub(crate) delivered: Vec<String>,
    /// Fingerprint of the key that the device has.
    pub(crate) in_hand: Option<String>,
    /// Outcomes, as published.
    pub(crate) ended: Vec<Done>,
    /// Requests to the hub, in order: `read`, `create`, `enable`, `disable`, `delete`.
    pub(crate) requests: Vec<&'static str>,
    /// Dead letters, as published.
    pub(crate) dead: Vec<Event>,
    made: u32,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self {
            device: Device::unknown(),
            now: Timestamp::from_micros(1_700_000_000_000_000),
            integration: Some(hub("h")),
            identity: None,
            mender: MenderView::Absent,
            trouble: Vec::new(),
            undelivered: Vec::new(),
            delivered: Vec::new(),
            in_hand: None,
            ended: Vec::new(),
            requests: Vec::new(),
            dead: Vec::new(),
            made: 0,
        }
    }

    /// A scene in which these events have been worked through.
    pub(crate) fn after(events: impl IntoIterator<Item = Event>) -> Self {
        let mut scene = Self::new();
        for event in events {
            scene.play(Input::Event(event));
        }
        scene.requests.clear();
        scene.ended.clear();
        scene.crash();
        scene
    }

    pub(crate) fn record(&self) -> &Record {
        self.device
            .record
            .as_ref()
            .expect("the scene has had an event")
    }

    fn name(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what}{}", self.made)
    }

    /// One step, nothing performed.
    pub(crate) fn feed(&mut self, input: Input) -> Effect {
        let policy = policy();
        let context = Context {
            now: self.now,
            fresh: IntentId(self.name("x")),
            jitter: 0,
            integration: self.integration.as_ref(),
            policy: &policy,
        };
        let step = next(std::mem::take(&mut self.device), input, &context);
        self.device = step.device;
        step.effect
    }

    /// The process dies: only the record is left. The store's clock says now.
    pub(crate) fn crash(&mut self) {
        self.device = self
            .device
            .record
            .take()
            .map_or_else(Device::unknown, |record| Device::loaded(record, self.now));
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// Works on a freshly loaded device until its message is acknowledged. The last effect:
    /// [`Effect::Ack`] or [`Effect::Arm`].
    pub(crate) fn play(&mut self, input: Input) -> Effect {
        self.crash();
        let mut effect = self.feed(input);
        for _ in 0..100 {
            let Some(input) = self.perform(&effect) else {
                return effect;
            };
            effect = self.feed(input);
        }
        panic!("no end after a hundred steps: {effect:?}");
    }

    /// As [`Scene::play`] for an event; how that event ended, if it did.
    pub(crate) fn outcome(&mut self, event: Event) -> Option<Outcome> {
        self.ended.clear();
        let id = event.id.clone();
        self.play(Input::Event(event));
        let done = self.ended.iter().rfind(|done| done.event.id == id)?;
        Some(done.outcome)
    }

    /// Follows wake-ups, passing the time until each, until nothing is left to do.
    pub(crate) fn rest(&mut self, mut effect: Effect) {
        for _ in 0..1000 {
            let Effect::Arm(due) = effect else {
                assert_eq!(effect, Effect::Ack);
                return;
            };
            self.now = self.now.max(due);
            effect = self.play(Input::Woken);
        }
        panic!("never at rest: {:?}", self.record());
    }

    /// Performs an effect; the answer, or `None` at the end of a message.
    pub(crate) fn perform(&mut self, effect: &Effect) -> Option<Input> {
        Some(match effect {
            Effect::Ack | Effect::Arm(_) => return None,
            Effect::Pause(wait) => {
                self.pass(*wait);
                Input::Woken
            }
            Effect::Read => {
                self.requests.push("read");
                self.read()
            }
            Effect::Write(request) => Input::Replied(WriteReply {
                intent: request.intent().clone(),
                result: self.write(request),
            }),
            Effect::Deliver {
                claim,
                generation,
                key,
            } => Input::Delivered(DeliveryReply {
                claim: claim.clone(),
                generation: generation.clone(),
                result: self.deliver(generation, *key),
            }),
            Effect::Tag { .. } => Input::Tagged(Ok(())),
            Effect::AskMender => Input::Mender(Ok(self.mender)),
            Effect::DeadLetter(event, _) => {
                self.dead.push(event.clone());
                Input::DeadLettered
            }
            Effect::Report(ended) => {
                self.ended.extend(ended.iter().cloned());
                Input::Reported
            }
        })
    }

    fn deliver(&mut self, generation: &str, key: KeySlot) -> Result<String, (Failure, Fate)> {
        if let Some(failure) = self.undelivered.pop() {
            return Err(failure);
        }
        self.delivered.push(generation.to_owned());
        let live = self.identity.as_ref();
        let print = match (live.and_then(|facts| facts.keys.clone()), key) {
            (Some(keys), KeySlot::Primary) => keys.primary,
            (Some(keys), KeySlot::Secondary) => keys.secondary,
            (None, _) => format!("key of {generation}"),
        };
        self.in_hand = Some(print.clone());
        Ok(print)
    }

    /// S5: the key that the device has is one that the hub takes.
    #[track_caller]
    pub(crate) fn assert_online(&self) {
        let live = self.identity.as_ref();
        let keys = live.and_then(|facts| facts.keys.as_ref()).expect("keys");
        let in_hand = self.in_hand.as_ref().expect("a key was delivered");
        assert!(
            [&keys.primary, &keys.secondary].contains(&in_hand),
            "{keys:?}"
        );
    }

    /// What a read shows now.
    pub(crate) fn read(&self) -> Input {
        Input::Read(ReadReply {
            began: self.now,
            result: Ok(self.identity.clone()),
        })
    }

    /// The hub takes a request: conditions hold, trouble strikes.
    pub(crate) fn write(&mut self, request: &HubWrite) -> Result<Option<Facts>, (Failure, Fate)> {
        self.requests.push(match request {
            HubWrite::Create { .. } => "create",
            HubWrite::Update { enable: true, .. } => "enable",
            HubWrite::Update { enable: false, .. } => "disable",
            HubWrite::Keys { change, .. } => match change {
                KeyChange::RenewSecondary => "renew",
                KeyChange::Swap => "swap",
            },
            HubWrite::Delete { .. } => "delete",
        });
        let trouble = self.trouble.pop();
        match trouble {
            Some(Trouble::Refuse(failure)) => return Err((failure, Fate::Done)),
            Some(Trouble::LoseRequest) => return Err((down(), Fate::Unknown)),
            Some(Trouble::LoseReply) | None => {}
        }
        self.take_effect(request)?;
        match trouble {
            None => Ok(self.identity.clone()),
            Some(_) => Err((down(), Fate::Unknown)),
        }
    }

    /// The effect of a request, now or late.
    pub(crate) fn take_effect(&mut self, request: &HubWrite) -> Result<(), (Failure, Fate)> {
        let conflict = Err((Failure::Conflict, Fate::Done));
        let etag = self.name("e");
        match (request, &mut self.identity) {
            (HubWrite::Create { mark, .. }, place @ None) => {
                *place = Some(Facts {
                    generation: format!("g-{etag}"),
                    keys: Some(Keys {
                        primary: format!("primary of {etag}"),
                        secondary: format!("secondary of {etag}"),
                    }),
                    etag,
                    enabled: true,
                    mark: Some(mark.clone()),
                });
            }
            (
                HubWrite::Update {
                    etag: held, enable, ..
                },
                Some(facts),
            ) if *held == facts.etag => {
                facts.enabled = *enable;
                facts.etag = etag;
            }
            (
                HubWrite::Keys {
                    etag: held, change, ..
                },
                Some(facts),
            ) if *held == facts.etag => {
                let keys = facts.keys.as_mut().expect("keys");
                match change {
                    KeyChange::RenewSecondary => keys.secondary = format!("secondary of {etag}"),
                    KeyChange::Swap => std::mem::swap(&mut keys.primary, &mut keys.secondary),
                }
                facts.etag = etag;
            }
            (HubWrite::Delete { etag: held, .. }, place @ Some(_))
                if place.as_ref().is_some_and(|facts| facts.etag == *held) =>
            {
                *place = None;
            }
            (HubWrite::Delete { .. }, None) => {}
            _ => return conflict,
        }
        Ok(())
    }

    /// The hub shows what the record wants.
    #[track_caller]
    pub(crate) fn assert_agrees(&self, enabled: Option<bool>) {
        let shown = self.identity.as_ref().map(|facts| facts.enabled);
        assert_eq!(shown, enabled, "the hub");
        let known = match &self.record().hub {
            HubView::Ours { enabled, .. } => Some(*enabled),
            HubView::Absent | HubView::Foreign | HubView::Unknown => None,
        };
        assert_eq!(known, enabled, "the record");
        assert!(self.record().is_settled(), "{:?}", self.record());
    }
}

/// An identity that somebody else made.
pub(crate) fn foreign() -> Facts {
    Facts {
        generation: "g-foreign".into(),
        etag: "e-foreign".into(),
        enabled: true,
        mark: None,
        keys: None,
    }
}

/// A mark of this integration, or of another one.
pub(crate) fn mark(integration: &str, intent: &str) -> Mark {
    Mark {
        integration: integration.into(),
        intent: IntentId(intent.into()),
    }
}
