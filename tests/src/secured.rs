//! A nats-server with the users of `deploy/nats`, exactly as they are there, and passwords of its
//! own.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use async_nats::{Client, ConnectOptions, jetstream};

use crate::{Installation, NatsServer, until, workspace};

/// The users, as `users.conf` calls them.
pub const USERS: [&str; 6] = ["mender", "worker", "setup", "operator", "reader", "editor"];

const START: Duration = Duration::from_secs(30);

/// The running server.
pub struct SecuredNats {
    /// The server.
    pub server: NatsServer,
}

impl SecuredNats {
    /// Starts a server with the configuration of `deploy/nats` in `dir`.
    pub async fn start(dir: &Path) -> Result<Self> {
        for file in ["nats.conf", "users.conf"] {
            let from = workspace::root().join("deploy/nats").join(file);
            let text = fs::read_to_string(&from).with_context(|| from.display().to_string())?;
            // The harness names a folder of its own, and the server takes only one.
            fs::write(dir.join(file), text.replace("store_dir: /data\n", "\n"))?;
        }
        passwords(dir)?;
        let config = dir.join("nats.conf").display().to_string();
        let server = NatsServer::start_unready(dir, &["-c", &config]).await?;
        let secured = Self { server };
        until(START, "JetStream to answer", async || {
            let context = jetstream::new(secured.client("setup").await?);
            // An answer, whatever it is.
            let asked = context.get_stream("none").await.map(drop);
            let answered = asked.map_err(|error| error.to_string());
            Ok(match answered {
                Err(text) if text.contains("timed out") => None,
                _ => Some(()),
            })
        })
        .await?;
        Ok(secured)
    }

    /// A connection of a user, with replies on its own prefix.
    pub async fn client(&self, user: &str) -> Result<Client> {
        let options = options(user).request_timeout(Some(Duration::from_secs(5)));
        let client = options.connect(self.server.url()).await;
        client.with_context(|| format!("{user} cannot connect"))
    }

    /// The server's URL with user and password in it, as Mender is given it.
    #[must_use]
    pub fn url_of(&self, user: &str) -> String {
        let address = self.server.url().trim_start_matches("nats://");
        format!("nats://{user}:{}@{address}", password(user))
    }

    /// An installation that logs in as a user.
    #[must_use]
    pub fn as_user(&self, installation: &Installation, user: &str) -> Installation {
        as_user(installation, user)
    }
}

/// Writes a `passwords.conf` for the users into `dir`.
pub fn passwords(dir: &Path) -> Result<()> {
    let line = |user: &&str| format!("{}_PASSWORD: \"{}\"\n", user.to_uppercase(), password(user));
    let passwords: String = USERS.iter().map(line).collect();
    Ok(fs::write(dir.join("passwords.conf"), passwords)?)
}

/// Sets in the environment of an installation what logs it in as a user.
#[must_use]
pub fn as_user(installation: &Installation, user: &str) -> Installation {
    let set = |key: &str| format!("MENDER_IOTHUB__NATS__{key}");
    installation
        .clone()
        .variable(&set("USER"), user)
        .variable(&set("PASSWORD"), &password(user))
        .variable(&set("INBOX_PREFIX"), &inbox(user))
}

/// Logs in as a user, with its own prefix for replies.
#[must_use]
pub fn options(user: &str) -> ConnectOptions {
    ConnectOptions::with_user_and_password(user.to_owned(), password(user))
        .custom_inbox_prefix(inbox(user))
}

/// Where a user's replies come back. Mender's client cannot be given another prefix than the usual.
#[must_use]
pub fn inbox(user: &str) -> String {
    match user {
        "mender" => "_INBOX".to_owned(),
        other => format!("_INBOX_{other}"),
    }
}

fn password(user: &str) -> String {
    format!("password-of-{user}-for-this-test")
}
