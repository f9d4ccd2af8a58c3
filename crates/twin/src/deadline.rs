//! How long a requester waits.
//!
//! The request says it in milliseconds from its arrival, so that no two clocks are compared. What
//! has not been begun by then never is, and what is under way is dropped.

use std::time::Duration;

use async_nats::HeaderMap;
use messages::header;

use crate::{Limits, TwinError, Verb};

/// The time that a request may take from its arrival, waiting included.
pub(crate) fn allowed(
    limits: &Limits,
    verb: Verb,
    headers: Option<&HeaderMap>,
) -> Result<Duration, TwinError> {
    let longest = if verb == Verb::Method {
        limits.longest_method
    } else {
        limits.longest
    };
    match said(headers)? {
        Some(said) => Ok(said.min(longest)),
        None if verb == Verb::Method => Ok(longest),
        None => Ok(limits.deadline),
    }
}

/// What the request says, if it says something.
pub(crate) fn said(headers: Option<&HeaderMap>) -> Result<Option<Duration>, TwinError> {
    let Some(value) = headers.and_then(|headers| headers.get(header::TIMEOUT_MS)) else {
        return Ok(None);
    };
    let millis = value.as_str().parse().ok().filter(|millis| *millis > 0);
    let millis = millis.ok_or_else(|| {
        let name = header::TIMEOUT_MS;
        TwinError::Invalid(format!("{name} is not a whole number above 0"))
    })?;
    Ok(Some(Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::TIMEOUT_MS, value);
        headers
    }

    #[test]
    fn what_the_requester_says_holds_up_to_a_cap() {
        let limits = Limits::default();
        let ask = |verb, value| allowed(&limits, verb, Some(&with(value)));
        assert_eq!(ask(Verb::Get, "1500"), Ok(Duration::from_millis(1500)));
        assert_eq!(ask(Verb::Get, "3600000"), Ok(limits.longest));
        assert_eq!(ask(Verb::Method, "3600000"), Ok(limits.longest_method));
        assert_eq!(allowed(&limits, Verb::Set, None), Ok(limits.deadline));
        for odd in ["", "0", "-1", "1.5", "1s", "99999999999999999999999"] {
            assert!(ask(Verb::Get, odd).is_err(), "{odd:?}");
        }
    }
}
