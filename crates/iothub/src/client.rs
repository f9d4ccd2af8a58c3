//! Sends requests and sorts what comes back.
//!
//! The client repeats one thing only: a request that was refused with 401, once, with a new token,
//! because that costs milliseconds and cannot do harm. Every longer wait belongs to the caller,
//! who knows what else has happened meanwhile. The time limit covers the operation as a whole,
//! repetition included, so that a caller may reckon with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use reqwest::redirect;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::clock::HubClock;
use crate::credential::{Credential, TokenCache};
use crate::device_id::DeviceId;
use crate::error::{self, Error, Result};
use crate::host::HostName;
use crate::identity::{Identity, NewIdentity};
use crate::resolve::GuardedResolver;
use crate::twin::Twin;
use crate::{request, tls};

/// As much of a refusal as is read. Real ones have a few hundred bytes.
const MAX_REFUSAL: usize = 64 * 1024;

/// How to call a hub.
#[derive(Debug, Clone)]
pub struct Options {
    /// The limit for an operation as a whole. Azure throttles by answering late, so a short limit
    /// makes things worse: the request takes effect all the same.
    pub request_timeout: Duration,
    /// The limit for name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Azure's own balancers cut at four minutes.
    pub pool_idle_timeout: Duration,
    /// Certificates in PEM that are trusted besides the system's.
    pub extra_root_pem: Option<Vec<u8>>,
    /// Longest body of an answer, in bytes.
    pub max_body: usize,
    /// What the hub's logs call us.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_secs(90),
            extra_root_pem: None,
            max_body: 8 * 1024 * 1024,
            user_agent: concat!("iothub/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// [`Options::extra_root_pem`] holds no usable certificate.
    #[error("the extra root certificate is no certificate in PEM")]
    Root,
    /// The HTTP client refused the options, for example the user agent.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// One hub. Clones share connections and token.
///
/// ```no_run
/// use iothub::{ConnectionString, DeviceId, Hub, Options};
///
/// # async fn example(text: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let connection: ConnectionString = text.parse()?;
/// let hub = Hub::new(connection.host().parse()?, connection.credential()?, Options::default())?;
/// let id: DeviceId = "dev-1".parse()?;
/// println!("{:?}", hub.device(&id).await?.status());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Hub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: reqwest::Client,
    host: HostName,
    credential: Credential,
    tokens: TokenCache,
    clock: HubClock,
    request_timeout: Duration,
    max_body: usize,
}

impl Hub {
    /// A client for the hub at `host`. Connects to nothing yet.
    ///
    /// Redirects are not followed and proxies not used: both would lead around the checks of names
    /// and addresses.
    pub fn new(
        host: HostName,
        credential: Credential,
        options: Options,
    ) -> Result<Self, SetupError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(options.extra_root_pem.as_deref())?)
            .dns_resolver(GuardedResolver::for_host(&host))
            .https_only(true)
            .http1_only()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .user_agent(options.user_agent)
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(options.pool_idle_timeout)
            .build()?;
        Ok(Self(Arc::new(Inner {
            http,
            host,
            credential,
            tokens: TokenCache::default(),
            clock: HubClock::default(),
            request_timeout: options.request_timeout,
            max_body: options.max_body,
        })))
    }

    /// The hub's host.
    #[must_use]
    pub fn host(&self) -> &HostName {
        &self.0.host
    }

    /// Reads an identity, with its keys.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let identity = hub.device(&"dev-1".parse()?).await?;
    /// println!("{:?} {:?}", identity.status(), identity.status_reason());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn device(&self, id: &DeviceId) -> Result<Identity> {
        let body = self.send(request::device(self.host(), id)?).await?;
        identity(id, &body)
    }

    /// Creates an identity, or fails with [`crate::Kind::AlreadyExists`]. Never changes one.
    ///
    /// ```no_run
    /// use iothub::{NewIdentity, Status};
    ///
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let new = NewIdentity { device_id: "dev-1".parse()?, status: Status::Enabled, status_reason: None };
    /// let created = hub.create_device(&new).await?;
    /// assert!(created.primary_key().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_device(&self, new: &NewIdentity) -> Result<Identity> {
        let body = self.send(request::create_device(self.host(), new)?).await?;
        identity(&new.device_id, &body)
    }

    /// Sends an identity back as it was read and changed, or fails with
    /// [`crate::Kind::PreconditionFailed`] if somebody else changed it meanwhile.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut identity = hub.device(&"dev-1".parse()?).await?;
    /// identity.set_status(iothub::Status::Disabled);
    /// let updated = hub.update_device(&identity).await?;
    /// assert_ne!(updated.etag(), identity.etag());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update_device(&self, identity_read: &Identity) -> Result<Identity> {
        let body = self
            .send(request::update_device(self.host(), identity_read)?)
            .await?;
        identity(identity_read.device_id(), &body)
    }

    /// Deletes an identity, its twin and its modules, if it still has this version (without quotes).
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let identity = hub.device(&"dev-1".parse()?).await?;
    /// hub.delete_device(identity.device_id(), identity.etag().ok_or("no etag")?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn delete_device(&self, id: &DeviceId, etag: &str) -> Result<()> {
        self.send(request::delete_device(self.host(), id, etag)?)
            .await
            .map(drop)
    }

    /// Reads a twin.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let twin = hub.twin(&"dev-1".parse()?).await?.without_metadata();
    /// println!("{} {}", twin.desired(), twin.reported());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn twin(&self, id: &DeviceId) -> Result<Twin> {
        let body = self.send(request::twin(self.host(), id)?).await?;
        twin(id, &body)
    }

    /// Merges tags and desired properties into a twin; null removes a key. With an `etag`, only if
    /// the twin still has this version.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let patch = serde_json::json!({"tags": {"site": "north", "old": null}});
    /// hub.patch_twin(&"dev-1".parse()?, &patch, None).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn patch_twin(
        &self,
        id: &DeviceId,
        patch: &Value,
        etag: Option<&str>,
    ) -> Result<Twin> {
        let body = self
            .send(request::patch_twin(self.host(), id, patch, etag)?)
            .await?;
        twin(id, &body)
    }

    /// Replaces tags and desired properties: what `edited` leaves out is gone, also the tags. With
    /// an `etag`, only if the twin still has this version.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let id = "dev-1".parse()?;
    /// let read = hub.twin(&id).await?;
    /// let edited = serde_json::json!({"tags": read.tags(), "properties": {"desired": {"interval": 5}}});
    /// hub.replace_twin(&id, &edited, read.etag()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn replace_twin(
        &self,
        id: &DeviceId,
        edited: &Value,
        etag: Option<&str>,
    ) -> Result<Twin> {
        let body = self
            .send(request::replace_twin(self.host(), id, edited, etag)?)
            .await?;
        twin(id, &body)
    }

    /// Sends a request, once more with a new token if the hub refuses the first, and gives the
    /// body of a success.
    async fn send(&self, request: Request<Bytes>) -> Result<Zeroizing<Vec<u8>>> {
        let begun = Instant::now();
        let result = self.attempt(request.clone(), begun).await;
        let result = match result {
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED.as_u16()) => {
                self.attempt(request.clone(), begun).await
            }
            result => result,
        };
        let elapsed_ms = begun.elapsed().as_millis();
        let (method, path) = (request.method(), request.uri().path());
        match &result {
            Ok(_) => tracing::debug!(%method, path, elapsed_ms, "hub answered"),
            Err(error) => tracing::debug!(%method, path, elapsed_ms, %error, "hub call failed"),
        }
        result
    }

    async fn attempt(
        &self,
        mut request: Request<Bytes>,
        begun: Instant,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let Inner {
            http,
            host,
            credential,
            tokens,
            clock,
            request_timeout,
            max_body,
        } = &*self.0;
        let now = clock.now();
        let token = tokens
            .get(now, async || Ok::<_, Error>(credential.token(host, now)))
            .await?;
        request.headers_mut().insert(AUTHORIZATION, token.clone());
        let mut request = reqwest::Request::try_from(request).map_err(Error::transport)?;
        *request.timeout_mut() = Some(request_timeout.saturating_sub(begun.elapsed()));

        let mut response = http.execute(request).await.map_err(Error::transport)?;
        clock.learn(response.headers());
        let status = response.status();
        if status.is_success() {
            return match read_body(&mut response, *max_body).await {
                Ok(Body::Whole(body)) => Ok(body),
                Ok(Body::Cut(_)) => {
                    Err(Error::malformed("the body is too large").with_status(status))
                }
                Err(error) => Err(Error::transport(error).with_status(status)),
            };
        }
        if status == StatusCode::UNAUTHORIZED {
            tokens.discard(&token).await;
        }
        // A refusal counts even if its explanation is cut or breaks off.
        let body = match read_body(&mut response, MAX_REFUSAL).await {
            Ok(Body::Whole(body) | Body::Cut(body)) => body,
            Err(_) => Zeroizing::default(),
        };
        Err(error::read(status, response.headers(), &body))
    }
}

enum Body {
    Whole(Zeroizing<Vec<u8>>),
    /// Longer than the limit, and cut before it.
    Cut(Zeroizing<Vec<u8>>),
}

async fn read_body(response: &mut reqwest::Response, limit: usize) -> Result<Body, reqwest::Error> {
    let announced = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    // Reserved at once, so that a body with keys is not left behind by a growing buffer.
    let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or_default().min(limit)));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(Body::Cut(body));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Body::Whole(body))
}

fn identity(asked: &DeviceId, body: &[u8]) -> Result<Identity> {
    let identity = Identity::from_json(body)?;
    if identity.device_id() == asked {
        Ok(identity)
    } else {
        Err(another_device())
    }
}

fn twin(asked: &DeviceId, body: &[u8]) -> Result<Twin> {
    let twin = Twin::from_json(body)?;
    if twin.device_id() == asked.as_str() {
        Ok(twin)
    } else {
        Err(another_device())
    }
}

fn another_device() -> Error {
    Error::malformed("the answer is about another device")
}
