//! What goes into the core and what comes out of it.

use std::time::Duration;

use crate::{
    Device, Done, Event, Facts, Failure, Fate, IntegrationRef, IntentId, KeyChange, KeySlot, Mark,
    MenderView, Parked, RetryPolicy, Timestamp,
};

/// What the core is told besides the input.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// A lower bound of the servers' time: never later than the truth, so that no lease is taken
    /// for expired too early.
    pub now: Timestamp,
    /// A name never used before.
    pub fresh: IntentId,
    /// A random number in thousandths, 0 to 1000.
    pub jitter: u16,
    /// The tenant's integration, if it has one.
    pub integration: Option<&'a IntegrationRef>,
    /// Times that govern retries.
    pub policy: &'a RetryPolicy,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// An event was delivered, perhaps not for the first time.
    Event(Event),
    /// A wake-up was delivered, or a pause is over.
    Woken,
    /// The hub was read.
    Read(ReadReply),
    /// A hub request was answered, or not.
    Replied(WriteReply),
    /// The connection string was delivered, or not.
    Delivered(DeliveryReply),
    /// The twin was tagged.
    Tagged(Result<(), Failure>),
    /// `deviceauth` answered.
    Mender(Result<MenderView, Failure>),
    /// The dead letter is durable.
    DeadLettered,
    /// The outcomes are durable.
    Reported,
    /// The caller did not perform the effect: the hub's pace or a suspension forbids it for now.
    Deferred(Timestamp),
}

/// Result of [`Effect::Read`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReadReply {
    /// [`Context::now`] before the read began.
    pub began: Timestamp,
    /// The identity, or `None` where there is none.
    pub result: Result<Option<Facts>, Failure>,
}

/// Result of [`Effect::Write`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WriteReply {
    /// The intent.
    pub intent: IntentId,
    /// The identity afterwards (`None` after a delete), or what failed and whether the request
    /// may still take effect.
    pub result: Result<Option<Facts>, (Failure, Fate)>,
}

/// Result of [`Effect::Deliver`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryReply {
    /// The claim.
    pub claim: IntentId,
    /// `generationId` of the identity that it was about.
    pub generation: String,
    /// The fingerprint of the key that was delivered, or what failed and whether the delivery may
    /// still be made.
    pub result: Result<String, (Failure, Fate)>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Read the identity; answer with [`Input::Read`].
    Read,
    /// Send one conditional request; answer with [`Input::Replied`]. The record must be stored
    /// before, and the request must not be sent once half of its lease has passed.
    Write(HubWrite),
    /// Fetch the key, deliver the connection string, forget it; answer with [`Input::Delivered`].
    Deliver {
        /// The claim that the record holds meanwhile.
        claim: IntentId,
        /// `generationId` of the identity it must be.
        generation: String,
        /// Which of its keys.
        key: KeySlot,
    },
    /// Tag the twin; answer with [`Input::Tagged`].
    Tag {
        /// ETag that the identity must still have.
        etag: String,
    },
    /// Ask `deviceauth`; answer with [`Input::Mender`].
    AskMender,
    /// Wait in the process, then [`Input::Woken`]. Nothing need be stored.
    Pause(Duration),
    /// Schedule a wake-up at this time, then acknowledge the message. The record owes the event.
    Arm(Timestamp),
    /// Publish the dead letter of this event; answer with [`Input::DeadLettered`].
    DeadLetter(Event, Parked),
    /// Publish these outcomes; answer with [`Input::Reported`].
    Report(Vec<Done>),
    /// Nothing is left to do: acknowledge the message.
    Ack,
}

impl Effect {
    /// Whether the record must be stored before the effect is performed. Reading changes nothing
    /// and may be repeated, so it need not wait for the store.
    #[must_use]
    pub const fn needs_saved_record(&self) -> bool {
        !matches!(self, Self::Read | Self::AskMender | Self::Pause(_))
    }
}

/// One conditional hub request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HubWrite {
    /// Create-only PUT, enabled, bearing the mark.
    Create {
        /// The intent.
        intent: IntentId,
        /// Goes into `statusReason`.
        mark: Mark,
    },
    /// PUT of the whole identity as last read, with another status.
    Update {
        /// The intent.
        intent: IntentId,
        /// `If-Match`.
        etag: String,
        /// The new status.
        enable: bool,
    },
    /// PUT of the whole identity as last read, with other keys.
    Keys {
        /// The intent.
        intent: IntentId,
        /// `If-Match`.
        etag: String,
        /// What becomes of the keys.
        change: KeyChange,
    },
    /// Conditional DELETE.
    Delete {
        /// The intent.
        intent: IntentId,
        /// `If-Match`.
        etag: String,
    },
}

impl HubWrite {
    /// The intent that this request carries out.
    #[must_use]
    pub const fn intent(&self) -> &IntentId {
        match self {
            Self::Create { intent, .. }
            | Self::Update { intent, .. }
            | Self::Keys { intent, .. }
            | Self::Delete { intent, .. } => intent,
        }
    }
}

/// Result of [`crate::next`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Step {
    /// The device afterwards.
    pub device: Device,
    /// What to do.
    pub effect: Effect,
}
