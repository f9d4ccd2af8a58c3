//! Failures, by what to do next.
//!
//! The caller has to decide two things: whether to try again, which the variant says, and whether
//! the request may have done something nevertheless, which [`Error::effect_unknown`] says.

use std::fmt;
use std::time::Duration;

/// Result of a call.
pub type Result<T> = std::result::Result<T, Error>;

/// Which service was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Keeps devices and their statuses.
    Deviceauth,
    /// Keeps and deploys configurations.
    Deviceconfig,
    /// Keeps groups of devices.
    Inventory,
    /// Keeps users and their roles.
    Useradm,
    /// Runs workflows, which publish the device events.
    Workflows,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Deviceauth,
        Self::Deviceconfig,
        Self::Inventory,
        Self::Useradm,
        Self::Workflows,
    ];

    /// Its name as Mender writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deviceauth => "deviceauth",
            Self::Deviceconfig => "deviceconfig",
            Self::Inventory => "inventory",
            Self::Useradm => "useradm",
            Self::Workflows => "workflows",
        }
    }

    /// Where the service's internal API begins.
    pub(crate) fn api(self) -> &'static str {
        match self {
            Self::Deviceauth => "/api/internal/v1/devauth",
            Self::Deviceconfig => "/api/internal/v1/deviceconfig",
            Self::Inventory => "/api/internal/v1/inventory",
            Self::Useradm => "/api/internal/v1/useradm",
            // It has no name of its own in its paths.
            Self::Workflows => "/api/v1",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a call did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer, or one that says "not now" (5xx, 408). The same request may work later.
    #[error("{service} unavailable: {reason}")]
    Transient {
        /// Who was called.
        service: Service,
        /// What happened, in words.
        reason: String,
        /// Whether the request may have reached the service.
        effect_unknown: bool,
    },
    /// 429. Ask less often.
    #[error("throttled by {service}")]
    Throttled {
        /// Who was called.
        service: Service,
        /// The wait that the service asked for, where it named one in seconds.
        retry_after: Option<Duration>,
    },
    /// 404: the service does not know the device.
    #[error("unknown to {service}")]
    NotFound {
        /// Who was called.
        service: Service,
    },
    /// The same request will be refused for ever (400, 403 and their like), or was not even sent.
    #[error("refused by {service}: {reason}")]
    Refused {
        /// Who was called.
        service: Service,
        /// The HTTP status; none if the request was not sent.
        status: Option<u16>,
        /// What is wrong, in words.
        reason: String,
    },
    /// The deployment was not started, because the device vanished meanwhile.
    #[error("the deployment was not started: the device vanished meanwhile")]
    NotStarted,
    /// The answer is not one that this service gives. Something else may be listening there.
    #[error("answer of {service} not understood: {reason}")]
    Malformed {
        /// Who was called.
        service: Service,
        /// What is wrong with it.
        reason: String,
        /// Whether the answer was one of success otherwise.
        effect_unknown: bool,
    },
}

impl Error {
    /// Whether the request may have taken effect, or still may, although it failed: it was
    /// possibly read (time-out, reset, 5xx), or answered with a success that cannot be understood.
    ///
    /// `false` is a promise: it had none (no connection, 4xx, a deployment not started).
    #[must_use]
    pub fn effect_unknown(&self) -> bool {
        match self {
            Self::Transient { effect_unknown, .. } | Self::Malformed { effect_unknown, .. } => {
                *effect_unknown
            }
            Self::Throttled { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::NotStarted => false,
        }
    }
}
