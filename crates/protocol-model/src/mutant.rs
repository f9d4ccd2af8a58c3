//! The protocol with one of its rules removed.
//!
//! A model that finds nothing may be blind. So each rule is removed once, and the checker must
//! find what the rule prevents. The core is a pure function, so this takes no change of it: a
//! mutant alters what goes into the core or what becomes of its answer.

use lifecycle::{
    Context, Device, Effect, Facts, Fate, HubWrite, Input, Intent, IntentId, Mark, MenderView, Op,
    Status, Step, Timestamp, Working, next,
};

macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $name:ident: $scenario:literal,)*) => {
        /// A rule that is removed; the comment says what happens instead.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant { $($(#[doc = $doc])+ $name,)* }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The scenario in which it must be caught.
            #[must_use]
            pub const fn scenario(self) -> &'static str {
                match self { $(Self::$name => $scenario,)* }
            }

            /// What it does.
            #[must_use]
            pub fn says(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim(),)* }
            }
        }
    };
}

mutants! {
    /// Rule 1: a request is sent without saving its intent first.
    SendsUnsaved: "gone",
    /// Rule 1: a change names no ETag.
    NoIfMatch: "hands",
    /// Rule 1: a record is saved whatever its version is by now.
    SavesBlindly: "gone",
    /// Rule 2: open intents are forgotten when a record is loaded.
    ForgetsIntents: "gone",
    /// Rule 2: an intent is cleared when its request times out.
    ClearsOnTimeout: "gone",
    /// Rule 2: an intent is cleared by any read, whether or not its lease has expired.
    IgnoresLease: "gone",
    /// Rule 2: the time of a read is that of its end, so a lease may expire during the read.
    DatesReadsLate: "gone",
    /// Rule 3: a delete does not wait for open creates.
    DeletesAtOnce: "twice-made",
    /// Rule 3: settling does not wait for open requests.
    SettlesAtOnce: "gone",
    /// Rule 3: the first create, sent without a read, is not create-only.
    CreateReplaces: "foreign",
    /// Rule 4: own success settles though other requests are open.
    SettlesOnSuccess: "twice-made",
    /// Rule 5: whether it is too late is not checked before sending.
    SendsLate: "slow",
    /// Rule 5: a lease is judged by a wall clock that is ahead.
    ClockAhead: "gone",
    /// Rule 6: requests take effect later than their lease says.
    OutlivesLease: "gone",
    /// Merging: what arrives last wins.
    ArrivalOrder: "order",
    /// Merging: an accept opens a closed id, whatever its incarnation.
    OpensClosed: "closed",
    /// Merging: of two events of one revision the later one wins, Mender is not asked.
    NeverAsks: "tie",
    /// Merging: what Mender was to be asked is forgotten when a record is loaded.
    ForgetsQuestions: "tie-unanswered",
    /// S1: every identity is taken for ours.
    AllAreOurs: "foreign",
    /// S1: our mark counts wherever it is found, also where somebody has copied it to.
    TrustsCopies: "hands",
    /// Adoption: only what we made is ours, whatever mark an operator has put into it.
    AdoptsNothing: "adopted",
    /// Adoption: what an operator adopted is not given its connection string.
    AdoptsUndelivered: "adopted-last",
    /// Adoption: nobody looks at what an operator adopted, until the next event.
    AdoptsUnseen: "adopted",
    /// S5: a delivery under way is forgotten when a record is loaded.
    ForgetsClaims: "reborn",
    /// S5: what is delivered is not checked to be of the identity that was meant.
    DeliversUnchecked: "key",
    /// S5: the key that the device has is renewed, not the other one.
    RenewsPrimary: "rotated",
    /// S5: for whom a create was sent is forgotten with its answer, though another identity was seen.
    ForgetsLateCreates: "twins",
    /// S6: a message is acknowledged when it is received.
    AcksFirst: "gone",
    /// S6: a message is acknowledged without saving that the record owes its event.
    OwesUnsaved: "down",
    /// S6: a superseded event that the record owed is dropped.
    DropsOwed: "down",
    /// S6: outcomes are not published before the acknowledgement.
    AcksUnreported: "gone",
    /// S6: a replay takes the place of an event that is about to be dead-lettered.
    ReplaysOverOwed: "given-up",
    /// S7: a dead letter is published anew each time.
    RepeatsLetters: "dead",
    /// S8: a replay that finds nothing to do ends without a compare-and-set.
    EndsReplaysUnsaved: "given-up-hint",
    /// S10: a worker keeps to the hub of the record, whatever the integration is now.
    KeepsHub: "moved",
    /// S3: what a hub shows ends requests to the hub before it, too.
    ForgetsLeftHubs: "moved-back",
    /// S5: a key that is new and of which nobody knows why is taken as it is.
    TrustsNewKeys: "put-back",
    /// L1: an answer whose save was lost is forgotten.
    ForgetsAnswers: "robbed",
    /// L2: a wake-up is not scheduled.
    NoAlarm: "gone",
    /// L2: a wake-up that finds nothing to do ends without a compare-and-set.
    EndsLooksUnsaved: "stale",
}

impl Mutant {
    /// Whether it breaks nothing but that work comes to an end, which takes a very long run.
    #[must_use]
    pub const fn has_no_end(self) -> bool {
        matches!(self, Self::ForgetsAnswers)
    }

    /// The core, as this mutant has it.
    pub(crate) fn next(self, device: Device, input: Input, ctx: &Context<'_>) -> Step {
        let replied = matches!(&input, Input::Replied(reply) if reply.result.is_ok());
        let settled = |effect: &Effect| matches!(effect, Effect::Report(_) | Effect::Ack);
        let deletes = |effect: &Effect| matches!(effect, Effect::Write(HubWrite::Delete { .. }));
        let created = |intent: &Intent| intent.op == Op::Create;
        let blind =
            |hidden: fn(&Intent) -> bool| without(device.clone(), hidden, input.clone(), ctx);
        let (blind, applies) = match self {
            Self::DeletesAtOnce => (blind(created), deletes as fn(&Effect) -> bool),
            Self::SettlesAtOnce => (blind(|_| true), settled as fn(&Effect) -> bool),
            Self::SettlesOnSuccess if replied => (blind(|_| true), settled as fn(&Effect) -> bool),
            Self::ReplaysOverOwed => return next(overrun(device, &input), input, ctx),
            Self::ForgetsLeftHubs => return next(here(device), input, ctx),
            Self::AdoptsUndelivered => return undelivered(device, input, ctx),
            Self::EndsReplaysUnsaved => return unsaved(device, input, ctx),
            _ => return next(device, self.distort(input, ctx), ctx),
        };
        if !applies(&blind.effect) {
            return next(device, input, ctx);
        }
        let mut step = blind;
        if let (Self::SettlesOnSuccess, Some(record)) = (self, &mut step.device.record) {
            record.intents.clear();
        }
        step
    }

    /// What the core is told instead of the truth.
    fn distort(self, mut input: Input, ctx: &Context<'_>) -> Input {
        match (self, &mut input) {
            (Self::ClearsOnTimeout, Input::Replied(reply)) => {
                if let Err((_, fate)) = &mut reply.result {
                    *fate = Fate::Done;
                }
            }
            (Self::AllAreOurs, Input::Read(reply)) => {
                if let Ok(Some(facts)) = &mut reply.result {
                    claim(facts, ctx);
                }
            }
            (Self::AdoptsNothing, Input::Read(reply)) => {
                if let Ok(Some(facts)) = &mut reply.result {
                    facts.mark.take_if(|mark| is_operators(&mark.intent));
                }
            }
            (Self::NeverAsks, Input::Mender(answer)) => {
                *answer = Ok(MenderView::Known(Status::Accepted));
            }
            _ => {}
        }
        input
    }

    /// The event, as this mutant takes it.
    pub(crate) fn receive(self, device: &Device, event: &mut lifecycle::Event) {
        let Some(record) = &device.record else { return };
        let known = record.working.as_ref().map(|working| &working.event.id);
        let ended = record.done.as_ref().map(|done| &done.event.id);
        if known == Some(&event.id) || ended == Some(&event.id) {
            return;
        }
        match self {
            Self::ArrivalOrder => event.revision = record.key.revision.map(|newest| newest + 1),
            Self::OpensClosed if event.status.creates() => {
                let newest = record.key.incarnation.map_or(0, Timestamp::as_micros);
                event.created = Some(Timestamp::from_micros(newest + 1));
                event.revision = record.key.revision.map(|newest| newest + 1);
            }
            _ => {}
        }
    }

    /// The device as loaded, as this mutant loads it.
    pub(crate) fn load(self, device: &mut Device) {
        let Some(record) = &mut device.record else {
            return;
        };
        match self {
            Self::ForgetsIntents => record.intents.clear(),
            Self::ForgetsQuestions => record.question = None,
            Self::ForgetsClaims => record.delivery.claim = None,
            Self::DropsOwed => record.outbox.clear(),
            Self::TrustsNewKeys => record.delivery.other = None,
            Self::TrustsCopies => {
                if let Some(made) = &mut record.made {
                    made.intent = None;
                }
            }
            Self::IgnoresLease => {
                for intent in &mut record.intents {
                    intent.seen_at = Some(Timestamp::from_micros(i64::MIN / 2));
                }
            }
            _ => {}
        }
    }
}

/// The device without the event that it worked for, where a replay meets one that was given up.
fn overrun(mut device: Device, input: &Input) -> Device {
    if let (Input::Event(event), Some(record)) = (input, &mut device.record) {
        let other = |working: &mut Working| !working.event.is_same(event);
        if event.replay > 0 && record.parked.is_some() {
            record.working.take_if(other);
        }
    }
    device
}

/// The device, with every request taken for one to the present hub.
fn here(mut device: Device) -> Device {
    let intents = device.record.iter_mut().flat_map(|it| &mut it.intents);
    intents.for_each(|intent| intent.elsewhere = false);
    device
}

/// The core's answer to an event, without the count that makes its end a compare-and-set.
fn unsaved(device: Device, input: Input, ctx: &Context<'_>) -> Step {
    let looks = device.record.as_ref().map(|record| record.retry.idle_looks);
    let is_event = matches!(input, Input::Event(_));
    let mut step = next(device, input, ctx);
    if let (true, Some(looks), Some(record)) = (is_event, looks, &mut step.device.record) {
        record.retry.idle_looks = looks;
    }
    step
}

/// The core's answer, where what an operator adopted is taken for delivered.
fn undelivered(device: Device, input: Input, ctx: &Context<'_>) -> Step {
    let mut step = next(device, input, ctx);
    let delivers = matches!(step.effect, Effect::Deliver { .. });
    let Some(record) = step.device.record.as_mut().filter(|_| delivers) else {
        return step;
    };
    let made = record.made.as_ref();
    let adopted = made.filter(|made| made.intent.as_ref().is_some_and(is_operators));
    let Some(adopted) = adopted else {
        return step;
    };
    record.delivery.delivered = Some(adopted.generation.clone());
    record.delivery.claim = None;
    next(step.device, Input::Woken, ctx)
}

/// Whether this names a mark that was put in by hand.
fn is_operators(intent: &IntentId) -> bool {
    intent.0.starts_with('h')
}

fn claim(facts: &mut Facts, ctx: &Context<'_>) {
    facts.mark.get_or_insert_with(|| Mark {
        integration: ctx
            .integration
            .map_or_else(String::new, |there| there.id.clone()),
        intent: ctx.fresh.clone(),
    });
}

/// The core's answer if it did not know of some open intents. They stay in the record.
fn without(
    mut device: Device,
    hidden: fn(&Intent) -> bool,
    input: Input,
    ctx: &Context<'_>,
) -> Step {
    let mut kept = Vec::new();
    if let Some(record) = &mut device.record {
        kept.extend(record.intents.extract_if(.., |intent| hidden(intent)));
        if let Input::Replied(reply) = &input {
            kept.retain(|intent| intent.id != reply.intent);
        }
    }
    let mut step = next(device, input, ctx);
    if let Some(record) = &mut step.device.record {
        record.intents.splice(0..0, kept);
    }
    step
}
