//! Errors, sorted by what to do next.
//!
//! A caller does not care which library failed; it has to decide whether to wait, to read again or
//! to give up, and above all whether the request may still take effect. So every error answers two
//! questions: its [`Kind`] names the remedy, its [`Effect`] says what is known about the hub. What
//! the hub wrote stays out of the text, except for the name and number of its error: free text may
//! repeat what was sent, and what was sent may hold keys.

mod codes;
mod reply;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use reply::{read, read_item, retry_after};

/// The result of a hub call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What has to happen before the call can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such device, module, job or configuration (404).
    NotFound,
    /// The call said "create", and it exists (409).
    AlreadyExists,
    /// It exists, but not in the version that was named (412): read again, then decide.
    PreconditionFailed,
    /// The credential is wrong, ended, or lacks a permission (401, 403), after one try with a new token.
    Unauthorized,
    /// Too many requests (429).
    Throttled {
        /// The pause the hub asked for, at most an hour. It usually names none.
        retry_after: Option<Duration>,
    },
    /// The day's messages or the one import job are used up (403002): wait for long.
    QuotaExceeded,
    /// The hub takes no more devices, modules or configurations (413002 and its like).
    HubFull,
    /// This hub or device cannot do it now, and asking again does not change that: tier,
    /// suspension, disabled or offline device.
    NotAvailable,
    /// The request is wrong (400 and its like) and stays so. Also what is refused before it is sent.
    Invalid,
    /// Connection, time-out, 5xx: the same request may succeed later.
    Transient,
    /// An answer that cannot be read or is too large.
    Malformed,
}

/// Whether a failed request changed the hub, or may still do so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It did not and will not: never sent, or refused by the hub.
    None,
    /// Nobody knows: no answer, a half one, or a server error. It may even take effect later.
    Unknown,
}

/// A failed hub call.
///
/// ```
/// use iothub::{Effect, Error, Kind};
/// # fn call() -> Result<(), Error> { Err(Error::new(Kind::Transient, Effect::Unknown)) }
/// match call() {
///     Err(error) if error.effect() == Effect::Unknown => { /* read the hub before deciding */ }
///     Err(error) if error.kind() == Kind::PreconditionFailed => { /* read again, plan again */ }
///     _ => {}
/// }
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    effect: Effect,
    detail: Option<&'static str>,
    status: Option<u16>,
    name: Option<String>,
    number: Option<u32>,
    tracking_id: Option<String>,
    aadsts: Option<u32>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with nothing behind it, for adapters that have their own reasons and their tests.
    #[must_use]
    pub fn new(kind: Kind, effect: Effect) -> Self {
        let none = Inner {
            kind,
            effect,
            detail: None,
            status: None,
            name: None,
            number: None,
            tracking_id: None,
            aadsts: None,
            source: None,
        };
        Self(Box::new(none))
    }

    /// The error that an unsuccessful answer of a hub means. Nothing in it can make this fail.
    ///
    /// ```
    /// use http::{HeaderMap, StatusCode};
    /// use iothub::{Error, Kind};
    ///
    /// let body = br#"{"Message":"ErrorCode:DeviceNotFound;dev-1"}"#;
    /// let error = Error::from_answer(StatusCode::NOT_FOUND, &HeaderMap::new(), body);
    /// assert_eq!((error.kind(), error.number()), (Kind::NotFound, Some(404001)));
    /// ```
    #[must_use]
    pub fn from_answer(status: http::StatusCode, headers: &http::HeaderMap, body: &[u8]) -> Self {
        read(status, headers, body)
    }

    /// What has to happen before the call can succeed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether the request may have taken, or may still take, effect.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.0.effect
    }

    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The hub's name for it, for example `DeviceNotFound`, or that of Microsoft Entra ID, for
    /// example `invalid_client`. Letters, digits, `-` and `_` only.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The hub's number for it, for example 404001.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        self.0.number
    }

    /// What Azure's support asks for. Letters, digits and dashes only.
    #[must_use]
    pub fn tracking_id(&self) -> Option<&str> {
        self.0.tracking_id.as_deref()
    }

    /// The number of Microsoft Entra ID for a refused token, for example 7000215.
    #[must_use]
    pub fn aadsts(&self) -> Option<u32> {
        self.0.aadsts
    }

    /// A request that is refused here and never sent.
    pub(crate) fn invalid(detail: &'static str) -> Self {
        Self::new(Kind::Invalid, Effect::None).with_detail(detail)
    }

    /// A success whose body cannot be used. The request has most likely taken effect.
    pub(crate) fn malformed(detail: &'static str) -> Self {
        Self::new(Kind::Malformed, Effect::Unknown).with_detail(detail)
    }

    /// A request that could not be sent now.
    pub(crate) fn unsent(detail: &'static str) -> Self {
        Self::new(Kind::Transient, Effect::None).with_detail(detail)
    }

    /// The same error with another remedy.
    pub(crate) fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// A request that got no (whole) answer.
    pub(crate) fn transport(error: reqwest::Error) -> Self {
        // The URL is left out: callers know what they asked for, and logs are read by others.
        let error = error.without_url();
        let (kind, effect, detail) = if error.is_connect() || error.is_dns() {
            (Kind::Transient, Effect::None, "no connection to the hub")
        } else if error.is_builder() {
            (
                Kind::Invalid,
                Effect::None,
                "the request could not be built",
            )
        } else if error.is_timeout() {
            (Kind::Transient, Effect::Unknown, "no answer in time")
        } else {
            (Kind::Transient, Effect::Unknown, "the connection broke")
        };
        let mut this = Self::new(kind, effect).with_detail(detail);
        this.0.source = Some(Arc::new(error));
        this
    }

    /// A request for a token that got no answer, so that the hub was not asked either.
    pub(crate) fn no_token(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut this = if error.is_builder() {
            Self::invalid("the request for a token could not be built")
        } else {
            Self::unsent("the issuer of tokens did not answer")
        };
        this.0.source = Some(Arc::new(error));
        this
    }

    pub(crate) fn with_status(mut self, status: http::StatusCode) -> Self {
        self.0.status = Some(status.as_u16());
        self
    }

    /// What the issuer of tokens called its refusal.
    pub(crate) fn with_issuer_code(mut self, code: Option<&str>, aadsts: Option<u32>) -> Self {
        self.0.name = code.and_then(reply::word);
        self.0.aadsts = aadsts;
        self
    }

    pub(crate) fn with_detail(mut self, detail: &'static str) -> Self {
        self.0.detail = Some(detail);
        self
    }
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "exists already",
            Self::PreconditionFailed => "changed meanwhile",
            Self::Unauthorized => "not authorised",
            Self::Throttled { .. } => "throttled",
            Self::QuotaExceeded => "quota used up",
            Self::HubFull => "hub full",
            Self::NotAvailable => "not available",
            Self::Invalid => "invalid request",
            Self::Transient => "hub unavailable",
            Self::Malformed => "unreadable answer",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind.text())?;
        if let Some(detail) = self.0.detail {
            write!(f, ": {detail}")?;
        }
        let status = self.0.status.map(|status| format!("status {status}"));
        let number = self.0.number.map(|number| number.to_string());
        let tracking = self.tracking_id().map(|id| format!("tracking id {id}"));
        let aadsts = self.0.aadsts.map(|number| format!("AADSTS{number}"));
        let facts = [status, self.0.name.clone(), number, aadsts, tracking];
        let facts: Vec<_> = facts.into_iter().flatten().collect();
        if facts.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", facts.join(", "))
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("effect", &self.0.effect)
            .field("detail", &self.0.detail)
            .field("status", &self.0.status)
            .field("name", &self.0.name)
            .field("number", &self.0.number)
            .field("tracking_id", &self.0.tracking_id)
            .field("aadsts", &self.0.aadsts)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
