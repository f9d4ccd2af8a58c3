//! From the configuration to NATS: what the worker and every command begin with.

use std::sync::OnceLock;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use jetstream::{Auth, ConnectOptions, NameError, Names, Refusals};
use tokio::time::Instant;

use crate::config::{Config, ConfigError, secret};

/// How long a command waits for NATS.
const PATIENCE: Duration = Duration::from_secs(5);

/// What NATS has refused this process, for whoever explains why something did not work.
static REFUSALS: OnceLock<Refusals> = OnceLock::new();

/// What NATS has refused this process so far, such as `publish to "iothub.event.=.d"`.
pub(crate) fn refused() -> Vec<String> {
    REFUSALS.get().map_or_else(Vec::new, Refusals::heard)
}

/// A connection to NATS, and the names of our things there.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) context: Context,
    pub(crate) names: Names,
}

impl Session {
    /// Begins to connect; [`Session::connected`] tells when that is done.
    pub(crate) async fn begin(config: &Config, name: &str) -> anyhow::Result<Self> {
        let names = names(config)?;
        let client =
            jetstream::connect(&options(config, name)?)
                .await
                .map_err(|error| match error {
                    jetstream::Error::Configuration(text) => {
                        ConfigError(format!("`nats`: {text}")).into()
                    }
                    other => anyhow::Error::from(other),
                })?;
        let context = jetstream::context(client.clone());
        Ok(Self {
            client,
            context,
            names,
        })
    }

    /// Whether the server is there and new enough.
    pub(crate) fn connected(&self) -> Result<(), jetstream::Error> {
        jetstream::check_server(&self.client)
    }

    /// A connection for a command, which somebody is waiting for.
    pub(crate) async fn for_command(config: &Config) -> anyhow::Result<Self> {
        let session = Self::begin(config, "mender-iothub command").await?;
        let begun = Instant::now();
        loop {
            match session.connected() {
                Ok(()) => return Ok(session),
                Err(jetstream::Error::Unavailable(_)) if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(jetstream::Error::Unavailable(_)) => anyhow::bail!(
                    "no NATS server answers at `nats.url` {}; is it running, and are the \
                     credentials right?",
                    without_userinfo(&config.nats.url)
                ),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What is wrong with the configuration as far as it is about NATS.
pub(crate) fn check(config: &Config) -> Result<(), ConfigError> {
    names(config)?;
    options(config, "").map(drop)
}

/// What our things in NATS are called.
pub(crate) fn names(config: &Config) -> Result<Names, ConfigError> {
    let source = &config.source;
    Names::new(&config.nats.prefix, &source.stream, &source.filter)
        .map_err(|error| ConfigError(format!("{}: {error}", key_of(&error))))
}

/// The key of the configuration that a name comes from.
fn key_of(error: &NameError) -> &'static str {
    match error {
        NameError::Prefix(_) => "`nats.prefix`",
        NameError::Stream(_) => "`source.stream`",
        NameError::Filter(_) => "`source.filter`",
    }
}

fn options(config: &Config, name: &str) -> Result<ConnectOptions, ConfigError> {
    let nats = &config.nats;
    let password = secret(
        "nats.password",
        nats.password.as_ref(),
        nats.password_file.as_ref(),
    )?;
    let token = secret("nats.token", nats.token.as_ref(), nats.token_file.as_ref())?;
    let nkey = secret("nats.nkey", None, nats.nkey_file.as_ref())?;
    let mut ways = Vec::new();
    if let Some(file) = &nats.credentials_file {
        ways.push(Auth::CredentialsFile(file.clone()));
    }
    if let (Some(user), Some(password)) = (&nats.user, &password) {
        let (user, password) = (user.clone(), password.expose().to_owned());
        ways.push(Auth::Password { user, password });
    } else if nats.user.is_some() || password.is_some() {
        return Err(ConfigError(
            "`nats.user` and `nats.password` belong together".to_owned(),
        ));
    }
    ways.extend(token.map(|token| Auth::Token(token.expose().to_owned())));
    ways.extend(nkey.map(|seed| Auth::NkeySeed(seed.expose().to_owned())));
    if ways.len() > 1 {
        return Err(ConfigError(
            "`nats` names more than one way to log in; keep one of credentials_file, user, token, \
             nkey_file"
                .to_owned(),
        ));
    }
    Ok(ConnectOptions {
        servers: nats
            .url
            .split(',')
            .map(|url| url.trim().to_owned())
            .collect(),
        auth: ways.pop().unwrap_or_default(),
        ca_file: nats.ca_file.clone(),
        inbox_prefix: nats.inbox_prefix.clone(),
        name: name.to_owned(),
        refusals: REFUSALS.get_or_init(Refusals::default).clone(),
        ..ConnectOptions::default()
    })
}

/// URLs for an error text, without user and password.
fn without_userinfo(urls: &str) -> String {
    let clean = |url: &str| match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    };
    urls.split(',').map(clean).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_show_no_password_of_a_url() {
        assert_eq!(
            without_userinfo("nats://u:p@a:1,nats://b:2"),
            "nats://a:1,nats://b:2"
        );
    }
}
