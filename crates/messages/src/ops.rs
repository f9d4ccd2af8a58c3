//! Requests of operators and their replies: `<prefix>.ops.dlq.replay`.
//!
//! They are read as strictly as edits of twins: a misspelt filter that was passed over would
//! replay everything.

mod filter;
mod reply;
mod request;

pub use filter::LetterFilter;
pub use reply::{LetterResult, ReplayEntry, ReplayReply, ReplayedEvent};
pub use request::{
    MAX_LETTERS, MAX_OPS_REQUEST, MAX_RATE, MAX_WAIT_S, ReplayRequest, USUAL_LETTERS, USUAL_RATE,
    Which, parse_replay,
};
