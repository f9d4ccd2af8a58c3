//! Decides what one device should look like in the hub, and the next thing to do about it.
//!
//! Deliveries repeat and arrive late, requests take effect after their caller gave up, and the
//! process may die between any two lines. So this crate holds no clock, socket or dice: time,
//! fresh identifiers and jitter come in as arguments, work goes out as [`Effect`]s, and every
//! interleaving of redelivery, crash and throttling is a unit test.
//!
//! The whole of it is one function, [`next`]. Its caller loads a [`Record`], feeds it an
//! [`Input`], saves what changed by compare-and-set, performs the [`Effect`] and feeds the result
//! back, until the effect is [`Effect::Ack`].
//!
//! Reading order: [`Event`] and [`Key`] (what is said), [`Record`] (what is remembered), `merge`
//! (who wins), `plan` (what is missing), `step` (how replies are taken).

mod advance;
mod device;
mod doubt;
mod effect;
mod event;
mod id;
mod import;
mod keys;
mod knowledge;
mod merge;
mod plan;
mod recall;
mod record;
mod retry;
mod status;
mod step;
mod time;
mod token;

pub use device::Device;
pub use effect::{Context, DeliveryReply, Effect, HubWrite, Input, ReadReply, Step, WriteReply};
pub use event::{Event, EventId, Key};
pub use id::{DeviceId, DeviceRef, IdError, IntegrationRef, IntentId, Mark, TenantId};
pub use keys::{KeyChange, KeySlot, Keys, Rotation, Wish};
pub use recall::Answer;
pub use record::{
    Claim, Delivery, Done, Facts, HubView, Intent, Made, Op, Outcome, Parked, Question,
    RECORD_VERSION, Record, Working,
};
pub use retry::{Failure, Fate, Retry, RetryPolicy};
pub use status::{MenderView, Status, UnknownStatus, Wanted};
pub use step::next;
pub use time::Timestamp;
pub use token::{TokenError, decode as decode_token, encode as encode_token};
