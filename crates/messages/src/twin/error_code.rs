//! The numbers of error replies.

/// Value of the header [`crate::header::SERVICE_ERROR_CODE`]: HTTP's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// The request is wrong.
    Invalid = 400,
    /// The caller did not say who it is.
    Unauthenticated = 401,
    /// The caller may not do this.
    Forbidden = 403,
    /// No such device, or the tenant has no integration.
    NotFound = 404,
    /// The twin is not the one of the caller's ETag.
    Conflict = 409,
    /// Request or twin too large.
    TooLarge = 413,
    /// Too many requests.
    Throttled = 429,
    /// The hub refused, or cannot be reached.
    BadHub = 502,
    /// Whether it is allowed cannot be found out now, or what is done cannot be recorded. Nothing
    /// was done.
    Unavailable = 503,
    /// No answer in time. An edit may have taken effect.
    TimedOut = 504,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::Throttled,
        Self::BadHub,
        Self::Unavailable,
        Self::TimedOut,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The code of a number, if it is one.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }
}
