//! Errors of the clients as failures of the core: one exhaustive match each.

use lifecycle::{Failure, Fate};

/// What a failed hub call asks for.
pub(crate) fn of_hub(error: &iothub::Error) -> (Failure, Fate) {
    use iothub::Kind;
    let text = error.to_string();
    let failure = match error.kind() {
        Kind::NotFound | Kind::AlreadyExists | Kind::PreconditionFailed => Failure::Conflict,
        Kind::Unauthorized => Failure::Credentials(text),
        Kind::Throttled { retry_after } => Failure::Throttled { wait: retry_after },
        // A suspended hub or one of a lesser tier is no fault of the device: nobody's event dies.
        Kind::QuotaExceeded | Kind::HubFull | Kind::NotAvailable => Failure::Full(text),
        Kind::Invalid => Failure::Permanent(text),
        Kind::Transient | Kind::Malformed => Failure::Transient(text),
    };
    let fate = match error.effect() {
        iothub::Effect::None => Fate::Done,
        iothub::Effect::Unknown => Fate::Unknown,
    };
    (failure, fate)
}
