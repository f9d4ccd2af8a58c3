//! What is remembered of one device between events.
//!
//! Everything that must survive the process is in [`Record`]; what only this handling knows is
//! in [`Device`](crate::Device). A record is changed by compare-and-set only.

use serde::{Deserialize, Serialize};

use crate::{
    Event, IntegrationRef, IntentId, Key, KeyChange, KeySlot, Keys, Mark, Retry, Rotation, Status,
    Timestamp, Wanted,
};

/// Version of the stored form of [`Record`]. A record of another version is never overwritten.
pub const RECORD_VERSION: u8 = 1;

/// The stored state of one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub v: u8,
    /// Place of the newest event.
    pub key: Key,
    /// What the newest event said.
    pub status: Status,
    /// The hub that the rest of this record is about.
    pub integration: IntegrationRef,
    /// What the hub's last reply showed.
    pub hub: HubView,
    /// `hub` was confirmed by a reply that followed every intent.
    pub confirmed: bool,
    /// How the identity that we made last came to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// Requests that may still take effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intents: Vec<Intent>,
    /// How far the connection string has come.
    #[serde(default)]
    pub delivery: Delivery,
    /// A change of the identity's keys that is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// The event being worked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working: Option<Working>,
    /// Something only Mender can answer; nothing is written to the hub before it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// The event that ended last, so that its redelivery ends the same way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Done>,
    /// Outcomes of acknowledged events that may not have been published yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outbox: Vec<Done>,
    /// The work was given up; a newer event or a replay takes it up again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
    /// Attempts so far.
    #[serde(default)]
    pub retry: Retry,
    /// The id was decommissioned before and opened again by a newer incarnation.
    #[serde(default)]
    pub reopened: bool,
    /// While decommissioned: the newest incarnation that is closed, where `key` has moved on to
    /// a newer one that was heard of but not accepted yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Timestamp>,
}

/// What the hub holds under the device's id, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HubView {
    /// Never asked.
    Unknown,
    /// Nothing.
    Absent,
    /// An identity that we made.
    Ours {
        /// `generationId` of the identity.
        generation: String,
        /// Its ETag, without quotes.
        etag: String,
        /// Whether it may connect.
        enabled: bool,
    },
    /// An identity that somebody else made: never touched.
    Foreign,
}

/// How an identity of ours came to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Made {
    /// `generationId` that the hub gave it.
    pub generation: String,
    /// The create request in its mark, where it bears one.
    pub intent: Option<IntentId>,
    /// The incarnation of the device that it was made for.
    pub incarnation: Option<Timestamp>,
}

/// An open hub request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Intent {
    /// Its name; part of the mark of a create.
    pub id: IntentId,
    /// What it asks for.
    pub op: Op,
    /// The key of the event it serves.
    pub key: Key,
    /// It was sent to another hub than the record is about now, or was when the record came back to that
    /// hub: what a hub shows does not tell whether it is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
    /// A time, by the store's clock, at which it was stored already. Filled in when the record
    /// is next loaded; its lease is counted from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
}

/// What a hub request does. Every change of an existing identity names the ETag it was read with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// PUT without `If-Match`: succeeds only if there is no identity.
    Create,
    /// PUT of the whole identity with `If-Match`.
    Update {
        /// ETag of the identity that is replaced.
        etag: String,
        /// Whether it may connect afterwards.
        enable: bool,
    },
    /// PUT of the whole identity with `If-Match`, with other keys.
    Keys {
        /// ETag of the identity that is replaced.
        etag: String,
        /// What becomes of the keys.
        change: KeyChange,
    },
    /// DELETE with `If-Match`.
    Delete {
        /// ETag of the identity that is deleted.
        etag: String,
    },
}

/// How far the connection string of a live identity has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivery {
    /// `generationId` whose connection string was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<String>,
    /// Fingerprint of the key that was delivered (never the key).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Fingerprint of the identity's other key when that was last seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// `generationId` whose twin bears the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tagged: Option<String>,
    /// A delivery that may be under way. One at a time: each disturbs the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

/// A delivery under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// Its name.
    pub id: IntentId,
    /// As [`Intent::seen_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Timestamp>,
    /// `generationId` of the identity whose connection string is delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// Which of its keys that holds.
    #[serde(default)]
    pub key: KeySlot,
    /// Claims to the same delivery that this one has replaced, one after the other, since nobody
    /// knew what had become of them. The oldest ones are forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<IntentId>,
}

/// The event being worked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Working {
    /// The event.
    pub event: Event,
    /// Its message was acknowledged, or is about to be: this record owes its outcome.
    pub owed: bool,
    /// Something was changed for it.
    pub changed: bool,
}

/// A question to `deviceauth` that the working event raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Two events of one revision disagree (Mender v4.x can do that). The other status is that
    /// of the working event.
    Tie,
    /// A decommission that names no incarnation meets an id that was opened again.
    Close,
    /// Both at once.
    TieAndClose,
}

impl Question {
    /// Both questions.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == other {
            self
        } else {
            Self::TieAndClose
        }
    }

    /// What is left to ask once a newer event has come. It settles a tie. But it may have been sent
    /// before the decommission and be late, so that one stays in question.
    pub(crate) const fn after_a_newer_event(self) -> Option<Self> {
        match self {
            Self::Tie => None,
            Self::Close | Self::TieAndClose => Some(Self::Close),
        }
    }
}

/// How an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The hub, or what was delivered, was changed for it.
    Applied,
    /// Everything was as it should be.
    Unchanged,
    /// A newer or equal event was there already.
    Superseded,
    /// No integration, or the identity is foreign.
    Ignored,
    /// Given up; it is in the dead-letter stream.
    Dead,
}

impl Outcome {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [
        Self::Applied,
        Self::Unchanged,
        Self::Superseded,
        Self::Ignored,
        Self::Dead,
    ];

    /// Its name on the wire, in logs and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
            Self::Ignored => "ignored",
            Self::Dead => "dead",
        }
    }
}

/// An event that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Done {
    /// The event.
    pub event: Event,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where the outcome alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Done {
    /// Whether this is about the same life of the same event.
    #[must_use]
    pub fn is_of(&self, event: &Event) -> bool {
        self.event.is_same(event) && self.event.replay >= event.replay
    }
}

/// Work that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Parked {
    /// Why, in words without secrets.
    pub error: String,
    /// Out of time rather than impossible.
    pub exhausted: bool,
    /// Failed attempts before that.
    pub attempts: u32,
}

/// What a hub reply shows of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Facts {
    /// `generationId`.
    pub generation: String,
    /// ETag without quotes.
    pub etag: String,
    /// Whether it may connect.
    pub enabled: bool,
    /// The mark in `statusReason`, if there is one.
    pub mark: Option<Mark>,
    /// Its keys, if it has symmetric ones.
    pub keys: Option<Keys>,
}

impl Record {
    /// A record that has seen nothing but `event`.
    pub(crate) fn first(event: &Event, integration: &IntegrationRef) -> Self {
        Self {
            v: RECORD_VERSION,
            key: event.key(),
            status: event.status,
            integration: integration.clone(),
            hub: HubView::Unknown,
            confirmed: false,
            made: None,
            intents: Vec::new(),
            delivery: Delivery::default(),
            rotation: None,
            working: None,
            question: None,
            done: None,
            outbox: Vec::new(),
            parked: None,
            retry: Retry::default(),
            reopened: false,
            closed: None,
        }
    }

    /// What the newest event asks for.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        self.status.wanted()
    }

    /// Whether nothing is open: no request, no owed event, nothing unconfirmed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.confirmed && self.intents.is_empty() && self.working.is_none()
    }

    /// Whether the hub may hold an identity that we made.
    #[must_use]
    pub fn may_have_identity(&self) -> bool {
        matches!(self.hub, HubView::Ours { .. }) || !self.intents.is_empty()
    }

    /// Whether the identity of the last reply is ours.
    ///
    /// The generation decides. Failing that, a mark of our integration does, unless the record
    /// knows the very create it names to have made another generation: then the mark was copied.
    pub(crate) fn is_ours(&self, facts: &Facts) -> bool {
        if self
            .made
            .as_ref()
            .is_some_and(|made| made.generation == facts.generation)
        {
            return true;
        }
        let Some(mark) = &facts.mark else {
            return false;
        };
        let copied = self
            .made
            .as_ref()
            .is_some_and(|made| made.intent.as_ref() == Some(&mark.intent));
        mark.integration == self.integration.id && !copied
    }

    /// The event being worked for has ended.
    pub(crate) fn finish(&mut self, outcome: Outcome, reason: Option<&str>) -> Option<Done> {
        let working = self.working.take()?;
        let done = Done {
            event: working.event,
            outcome,
            reason: reason.map(str::to_owned),
        };
        self.done = Some(done.clone());
        self.retry = Retry::default();
        if working.owed {
            self.outbox.push(done);
            return None;
        }
        Some(done)
    }

    /// Whether `event` is the very event being worked for.
    pub(crate) fn is_working_for(&self, event: &Event) -> bool {
        self.working
            .as_ref()
            .is_some_and(|working| working.event.is_same(event))
    }
}
