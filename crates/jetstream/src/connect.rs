//! One connection to NATS, set up so that nothing waits for longer than it must.
//!
//! The client library waits ten seconds for a reply by default; a pull that had to ask a dead
//! server would be silent for as long. Three seconds do. The connection is retried for ever, the
//! first time too, so the order in which servers start does not matter.

use std::{
    collections::BTreeSet,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{Client, Event, connection::State, jetstream};

use crate::{Error, Result};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(3);
/// How long a TCP and TLS connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// A silent connection is found dead after about twice this.
const PING: Duration = Duration::from_secs(15);
/// The oldest server that will do.
const NEEDED: (u32, u32) = (2, 12);
const NEEDED_TEXT: &str = "2.12";
/// What a refusal begins with.
const VIOLATION: &str = "ermissions Violation for ";
/// Refusals that are remembered.
const MOST_REFUSALS: usize = 100;

/// Who we say we are. Secrets do not show in its `Debug` form.
#[derive(Clone, Default)]
pub enum Auth {
    /// Nobody.
    #[default]
    None,
    /// A credentials file (JWT and seed).
    CredentialsFile(PathBuf),
    /// User and password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// The seed of an nkey.
    NkeySeed(String),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::CredentialsFile(_) => "CredentialsFile(..)",
            Self::Password { .. } => "Password(..)",
            Self::Token(_) => "Token(..)",
            Self::NkeySeed(_) => "NkeySeed(..)",
        })
    }
}

/// How to connect. The servers do not show in its `Debug` form, since a URL may hold a password.
#[derive(Clone, Default)]
pub struct ConnectOptions {
    /// URLs of servers; each entry may itself be a list with commas.
    pub servers: Vec<String>,
    /// Credentials.
    pub auth: Auth,
    /// A file of root certificates in PEM form, besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// A client certificate and its key, both files in PEM form.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Connects with TLS even where the URL does not say so.
    pub require_tls: bool,
    /// Prefix of the subjects on which replies come back, for accounts that limit it; `_INBOX`
    /// where not given.
    pub inbox_prefix: Option<String>,
    /// The name of the connection, as the server's monitoring shows it.
    pub name: String,
    /// Hears what the server refuses this user.
    pub refusals: Refusals,
}

/// What the server has refused a user. It says so apart from the request that it concerns, which
/// just gets no answer.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Arc<Mutex<BTreeSet<String>>>);

impl Refusals {
    /// Each once, such as `publish to "$JS.API.INFO"`.
    #[must_use]
    pub fn heard(&self) -> Vec<String> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().cloned().collect()
    }

    /// Takes note if the text is of a refusal: `Permissions Violation for Publish to "subject"`.
    fn hear(&self, text: &str) {
        let Some((_, what)) = text.split_once(VIOLATION) else {
            return;
        };
        let (verb, subject) = what.split_at(what.find(' ').unwrap_or(0));
        let verb = match verb {
            "Publish" | "publish" => "publish",
            _ => "subscribe",
        };
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() < MOST_REFUSALS {
            heard.insert(format!("{verb}{}", subject.trim_end_matches('\'')));
        }
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("name", &self.name)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// A connection's events go to the log. The same trouble again, as at each attempt to reconnect,
/// is not worth a second line: `told` holds the last.
fn log(event: &Event, told: &Mutex<String>) {
    match event {
        Event::Connected => {
            news(told, "");
            tracing::info!("connected to NATS");
        }
        Event::Disconnected => tracing::warn!("the connection to NATS is lost; reconnecting"),
        Event::SlowConsumer(id) => {
            tracing::warn!(
                subscription = id,
                "messages were dropped: too slow a consumer"
            );
        }
        Event::ServerError(error) => tracing::error!(%error, "NATS reports an error"),
        Event::ClientError(error) => {
            if news(told, &error.to_string()) {
                tracing::warn!(%error, "the connection to NATS has trouble");
            }
        }
        Event::LameDuckMode => tracing::info!("the NATS server is about to stop"),
        Event::Draining | Event::Closed => tracing::debug!(%event, "the NATS connection ends"),
    }
}

/// Whether `text` differs from what was told last; it is what was told last from now on.
fn news(told: &Mutex<String>, text: &str) -> bool {
    let mut last = told.lock().unwrap_or_else(PoisonError::into_inner);
    let differs = *last != text;
    text.clone_into(&mut last);
    differs
}

/// Connects, without waiting for a server to be there: see [`Client::connection_state`].
pub async fn connect(options: &ConnectOptions) -> Result<Client> {
    let servers = servers(&options.servers)?;
    let told = Mutex::new(String::new());
    let refusals = options.refusals.clone();
    let mut nats = async_nats::ConnectOptions::new()
        .name(&options.name)
        .request_timeout(Some(REQUEST))
        .connection_timeout(CONNECT)
        .ping_interval(PING)
        .max_reconnects(None)
        .retry_on_initial_connect()
        .event_callback(move |event| {
            log(&event, &told);
            if let Event::ServerError(error) = &event {
                refusals.hear(&error.to_string());
            }
            std::future::ready(())
        })
        .require_tls(options.require_tls);
    if let Some(prefix) = &options.inbox_prefix {
        nats = nats.custom_inbox_prefix(prefix);
    }
    if let Some(file) = &options.ca_file {
        nats = nats.add_root_certificates(file.clone());
    }
    if let Some((certificate, key)) = &options.client_certificate {
        nats = nats.add_client_certificate(certificate.clone(), key.clone());
    }
    let nats = authenticate(nats, &options.auth).await?;
    nats.connect(servers)
        .await
        .map_err(|error| Error::unavailable("failed to connect", &error))
}

async fn authenticate(
    nats: async_nats::ConnectOptions,
    auth: &Auth,
) -> Result<async_nats::ConnectOptions> {
    Ok(match auth {
        Auth::None => nats,
        Auth::CredentialsFile(path) => {
            nats.credentials_file(path).await.map_err(|error| {
                // The file's content is a secret: of the error only the kind is shown.
                Error::Configuration(format!(
                    "{} is not a NATS credentials file ({})",
                    path.display(),
                    error.kind()
                ))
            })?
        }
        Auth::Password { user, password } => nats.user_and_password(user.clone(), password.clone()),
        Auth::Token(token) => nats.token(token.clone()),
        Auth::NkeySeed(seed) => nats.nkey(seed.clone()),
    })
}

/// Splits lists at commas, which the client library does not do.
fn servers(given: &[String]) -> Result<Vec<async_nats::ServerAddr>> {
    let urls = given.iter().flat_map(|list| list.split(','));
    let servers: Vec<_> = urls
        .map(str::trim)
        .filter(|url| !url.is_empty())
        .enumerate()
        // The URL may hold a password, so it is named by its place.
        .map(|(at, url)| {
            url.parse().map_err(|_| {
                Error::Configuration(format!("the {}. NATS server is not a URL", at + 1))
            })
        })
        .collect::<Result<_>>()?;
    if servers.is_empty() {
        return Err(Error::Configuration("no NATS server is named".to_owned()));
    }
    Ok(servers)
}

/// The JetStream context for a connection.
#[must_use]
pub fn context(client: Client) -> jetstream::Context {
    jetstream::context::ContextBuilder::new()
        .timeout(REQUEST)
        .ack_timeout(REQUEST)
        .build(client)
}

/// Fails if the server is too old for what we need; not connected counts as not available.
pub fn check_server(client: &Client) -> Result<()> {
    let Some(info) = client.try_server_info() else {
        return Err(Error::Unavailable("not connected yet".to_owned()));
    };
    // The client keeps what the last server said of itself.
    if client.connection_state() != State::Connected {
        return Err(Error::Unavailable("the connection is lost".to_owned()));
    }
    if is_recent(&info.version) {
        return Ok(());
    }
    Err(Error::Server {
        found: info.version,
        needed: NEEDED_TEXT,
    })
}

fn is_recent(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split('.').map(str::parse);
    let mut part = || parts.next().and_then(std::result::Result::ok);
    matches!((part(), part()), (Some(major), Some(minor)) if (major, minor) >= NEEDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_may_be_given_as_a_list_with_commas() {
        let list = ["nats://a:4222, nats://b:4223".to_owned(), "c".to_owned()];
        let hosts: Vec<_> = servers(&list)
            .unwrap()
            .iter()
            .map(|server| (server.host().to_owned(), server.port()))
            .collect();
        let expected = [("a", 4222), ("b", 4223), ("c", 4222)];
        assert_eq!(hosts, expected.map(|(host, port)| (host.to_owned(), port)));
    }

    #[test]
    fn a_bad_url_is_refused_without_showing_it() {
        let error = servers(&["nats://user:secret@h:x".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "the 1. NATS server is not a URL");
        assert!(servers(&[" , ".to_owned()]).is_err());
    }

    #[test]
    fn servers_before_schedules_are_too_old() {
        for (version, recent) in [
            ("2.12.0", true),
            ("2.15.1-RC.2", true),
            ("3.0.0", true),
            ("2.9.10", false),
            ("1.99.0", false),
            ("", false),
        ] {
            assert_eq!(is_recent(version), recent, "{version}");
        }
    }

    #[test]
    fn a_refusal_is_remembered_once_and_other_errors_are_none() {
        let refusals = Refusals::default();
        for text in [
            r#"nats: Permissions Violation for Publish to "$JS.API.INFO""#,
            r#"nats: 'Permissions Violation for Publish to "$JS.API.INFO"'"#,
            r#"nats: Permissions Violation for Subscription to "a.>" using queue "q""#,
            "nats: slow consumer",
        ] {
            refusals.hear(text);
        }
        let expected = [
            r#"publish to "$JS.API.INFO""#,
            r#"subscribe to "a.>" using queue "q""#,
        ];
        assert_eq!(refusals.heard(), expected);
    }

    #[test]
    fn debug_shows_no_secret() {
        let auth = Auth::Password {
            user: "u".to_owned(),
            password: "hunter2".to_owned(),
        };
        let options = ConnectOptions {
            servers: vec!["nats://u:hunter2@host".to_owned()],
            auth,
            ..ConnectOptions::default()
        };
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
