//! One attempt to hand a message over.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use outbound::{GuardedResolver, SetupError, client_builder};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::{Endpoint, Secret, sign};

/// As much of an answer as is read, so that the connection can be used again. What it says does not
/// matter.
const MAX_ANSWER: usize = 16 * 1024;

/// How to call.
#[derive(Debug, Clone)]
pub struct Options {
    /// The limit for an attempt as a whole. The specification recommends 15 to 30 s.
    pub timeout: Duration,
    /// Certificates in PEM that are trusted besides the system's.
    pub extra_root_pem: Option<Vec<u8>>,
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// The same in all attempts, and in those for no other message. Without a full stop.
    pub id: String,
    /// JSON.
    pub body: Bytes,
}

/// Why an attempt failed, in words without the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The receiver wants no more of this (410): do not repeat it.
    #[error("the receiver is gone (410)")]
    Gone,
    /// The same message may be taken later.
    #[error("{why}")]
    Later {
        /// What happened.
        why: String,
        /// How long the receiver asks to be left alone (`Retry-After` in seconds).
        wait: Option<Duration>,
    },
}

/// Sends to one endpoint.
#[derive(Debug)]
pub struct Sender {
    endpoint: Endpoint,
    http: reqwest::Client,
    timeout: Duration,
}

impl Sender {
    /// Connects to nothing yet.
    pub fn new(endpoint: Endpoint, options: Options) -> Result<Self, SetupError> {
        let how = outbound::Options {
            connect_timeout: options.timeout.min(Duration::from_secs(10)),
            extra_root_pem: options.extra_root_pem,
            ..outbound::Options::default()
        };
        let resolver = GuardedResolver::exempting(endpoint.exempt());
        let https_only = endpoint.url().scheme() == "https";
        Ok(Self {
            http: client_builder(resolver, how)?
                .https_only(https_only)
                .build()?,
            timeout: options.timeout,
            endpoint,
        })
    }

    /// Hands a message over, signed with each of the secrets. Only a 2xx says that it was taken.
    pub async fn send(&self, message: &Message, secrets: &[&Secret]) -> Result<(), Failure> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = since.map_or(0, |since| since.as_secs());
        let request = self
            .http
            .post(self.endpoint.url().clone())
            .timeout(self.timeout)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", time)
            .header(
                "webhook-signature",
                sign(secrets, &message.id, time, &message.body),
            )
            .body(message.body.clone());
        let mut response = request.send().await.map_err(unanswered)?;
        let status = response.status();
        let verdict = judge(status, response.headers());
        let mut read = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            read += chunk.len();
            if read > MAX_ANSWER {
                break;
            }
        }
        verdict
    }
}

fn judge(status: StatusCode, headers: &reqwest::header::HeaderMap) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    if status == StatusCode::GONE {
        return Err(Failure::Gone);
    }
    let hint = if status.is_redirection() {
        ", a redirect, which is not followed"
    } else {
        ""
    };
    let wait = headers.get(RETRY_AFTER).and_then(|value| {
        let seconds = value.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    });
    Err(Failure::Later {
        why: format!("the receiver answered {}{hint}", status.as_u16()),
        wait,
    })
}

fn unanswered(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut why = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        "the receiver cannot be reached".to_owned()
    };
    // The innermost cause says most: a refused address, a certificate, a refused connection.
    let mut cause: Option<&dyn StdError> = error.source();
    while let Some(inner) = cause {
        cause = inner.source();
        if cause.is_none() {
            why = format!("{why}: {inner}");
        }
    }
    Failure::Later { why, wait: None }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;
    use tokio::net::TcpListener;

    use super::*;
    use crate::AllowedHosts;

    #[test]
    fn only_a_2xx_is_a_yes_and_only_a_410_is_final() {
        let of = |code: u16| judge(StatusCode::from_u16(code).unwrap(), &HeaderMap::new());
        for code in [200, 202, 204, 299] {
            assert_eq!(of(code), Ok(()), "{code}");
        }
        assert_eq!(of(410), Err(Failure::Gone));
        for code in [301, 307, 400, 401, 404, 429, 500, 503] {
            let failure = of(code).unwrap_err();
            assert!(failure.to_string().contains(&code.to_string()), "{failure}");
            assert!(matches!(failure, Failure::Later { wait: None, .. }));
        }
    }

    #[test]
    fn a_receiver_may_ask_to_be_left_alone() {
        let wait = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            match judge(StatusCode::SERVICE_UNAVAILABLE, &headers) {
                Err(Failure::Later { wait, .. }) => wait,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
    }

    async fn attempt(url: &str, allowed: &AllowedHosts) -> Failure {
        let options = Options {
            timeout: Duration::from_secs(30),
            extra_root_pem: None,
        };
        let sender = Sender::new(Endpoint::parse(url, allowed).unwrap(), options).unwrap();
        let message = Message {
            id: "1".to_owned(),
            body: Bytes::from_static(b"{}"),
        };
        sender.send(&message, &[]).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_receivers_name_that_leads_here_is_never_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("https://localhost:{port}/hunter2");
        let failure = attempt(&url, &AllowedHosts::default()).await.to_string();
        assert!(failure.contains("not public"), "{failure}");
        assert!(!failure.contains("hunter2"), "{failure}");
        let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(nobody.is_err(), "it was connected to");
    }

    #[tokio::test]
    async fn a_receiver_that_hangs_up_is_tried_later() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let origin = format!("http://127.0.0.1:{port}");
        let hang_up = async { drop(listener.accept().await.unwrap()) };
        let allowed = AllowedHosts::new([&origin]).unwrap();
        let url = format!("{origin}/hunter2");
        let (failure, ()) = tokio::join!(attempt(&url, &allowed), hang_up);
        assert!(matches!(failure, Failure::Later { .. }), "{failure:?}");
        assert!(!failure.to_string().contains("hunter2"), "{failure}");
    }
}
