//! Arguments of `webhook`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lifecycle::TenantId;

use super::OfTenant;

#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    /// Sends the outcomes of a tenant's events to a URL from now on, or changes URL or secret.
    ///
    /// Requests are signed as Standard Webhooks says, with a secret of the form `whsec_` and base64,
    /// for instance from `echo whsec_$(openssl rand -base64 32)`. It is read from standard input, from
    /// a file, or from an environment variable; never from the command line, where other users of the
    /// machine could read it.
    ///
    /// The URL is https and leads to a public address; other hosts go into `webhook.allowed_hosts`.
    Set(WebhookSet),
    /// Shows webhooks, without secrets, and how much is still to be sent to each.
    Show {
        /// Only this tenant's.
        #[arg(long)]
        tenant: Option<TenantId>,
    },
    /// Sends a message of type `webhook.test`, from this machine, and says what was answered.
    Test(OfTenant),
    /// Sends nothing more to a tenant's webhook, and forgets what is still to be sent.
    Remove(OfTenant),
}

#[derive(Debug, Args)]
pub(crate) struct WebhookSet {
    #[command(flatten)]
    pub(crate) of: OfTenant,
    /// Where to send to. Without it, the URL that is set stays.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Read the URL from this environment variable, if it is a secret itself.
    #[arg(long, value_name = "NAME", conflicts_with = "url")]
    pub(crate) url_env: Option<String>,
    /// Read the secret from this file instead of standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "secret_env")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Read the secret from this environment variable.
    #[arg(long, value_name = "NAME")]
    pub(crate) secret_env: Option<String>,
    /// Go on signing with the secret before, beside the new one, for so many hours.
    #[arg(long, value_name = "HOURS", default_value_t = 24,
          value_parser = clap::value_parser!(u32).range(..=720))]
    pub(crate) keep_old_secret: u32,
}
