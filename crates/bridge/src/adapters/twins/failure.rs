//! What a caller is told about trouble with the hub.

use iothub::{Effect, Error, Kind};
use twin::TwinError;

/// The hub's number for a method of a device that is not connected.
const NOT_ONLINE: u32 = 404_103;
/// Its number for one job too many.
const TOO_MANY_JOBS: u32 = 429_004;

/// Why a call of the hub came to nothing.
pub(super) enum Trouble {
    /// It was not sent.
    Unsent(TwinError),
    /// It failed.
    Hub(Error),
}

impl Trouble {
    /// A method that was not answered may have been carried out.
    pub(super) fn of_method(self) -> TwinError {
        match self {
            Self::Hub(error) if error.number() == Some(NOT_ONLINE) => TwinError::Offline,
            Self::Hub(error) if error.status() == Some(504) => TwinError::TimedOut,
            other => other.into(),
        }
    }

    pub(super) fn of_job(self) -> TwinError {
        match self {
            Self::Hub(error) if error.number() == Some(TOO_MANY_JOBS) => TwinError::JobsAtOnce,
            Self::Hub(error) => match error.kind() {
                Kind::NotFound => TwinError::NoSuchJob,
                Kind::AlreadyExists => TwinError::JobExists,
                Kind::NotAvailable if error.status() == Some(405) => TwinError::JobOver,
                _ => Self::Hub(error).into(),
            },
            other @ Self::Unsent(_) => other.into(),
        }
    }
}

impl From<Trouble> for TwinError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unsent(error) => error,
            Trouble::Hub(error) => of_hub(&error),
        }
    }
}

fn of_hub(error: &Error) -> TwinError {
    match error.kind() {
        Kind::NotFound => TwinError::NotFound,
        Kind::AlreadyExists | Kind::PreconditionFailed => TwinError::Conflict { etag: None },
        Kind::Throttled { .. } => TwinError::Throttled,
        Kind::Invalid if error.status() == Some(413) => {
            TwinError::TooLarge("the hub says that this is too large".to_owned())
        }
        Kind::Invalid => TwinError::Invalid("the hub does not take this".to_owned()),
        Kind::Unauthorized | Kind::QuotaExceeded | Kind::HubFull | Kind::NotAvailable => {
            tracing::warn!(%error, "the hub refused a request of the twin service");
            TwinError::HubRefused
        }
        Kind::Transient if error.effect() == Effect::Unknown && error.status().is_none() => {
            TwinError::TimedOut
        }
        Kind::Transient | Kind::Malformed => {
            tracing::debug!(%error, "the hub did not serve a request of the twin service");
            TwinError::HubUnavailable
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;

    fn answer(status: u16, number: u32) -> Trouble {
        let status = StatusCode::from_u16(status).unwrap();
        let body = format!(r#"{{"errorCode":{number},"message":"secret"}}"#);
        Trouble::Hub(Error::from_answer(
            status,
            &HeaderMap::new(),
            body.as_bytes(),
        ))
    }

    #[test]
    fn every_remedy_has_its_number() {
        for (status, number, code) in [
            (400, 400_004, 400),
            (401, 401_002, 502),
            (403, 403_002, 502),
            (404, 404_001, 404),
            (412, 412_001, 409),
            (429, 429_001, 429),
            (500, 500_001, 502),
            (503, 503_001, 502),
        ] {
            let error = TwinError::from(answer(status, number));
            assert_eq!(error.code().number(), code, "{status}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn methods_and_jobs_have_reasons_of_their_own() {
        assert_eq!(answer(404, 404_103).of_method(), TwinError::Offline);
        assert_eq!(answer(404, 404_001).of_method(), TwinError::NotFound);
        assert_eq!(answer(504, 504_101).of_method(), TwinError::TimedOut);
        assert_eq!(answer(429, 429_004).of_job(), TwinError::JobsAtOnce);
        assert_eq!(answer(409, 409_104).of_job(), TwinError::JobExists);
        assert_eq!(answer(405, 405_102).of_job(), TwinError::JobOver);
    }
}
