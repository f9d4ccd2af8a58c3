//! `integration set`: takes a hub's credential, tries it, and stores it sealed.

use anyhow::{Context as _, bail};
use iothub::{ConnectionString, KeyOwner, Secret};
use reconciler::ports::{IntegrationStore as _, Saved};

use super::given;
use super::integration::shown;
use super::permissions;
use crate::adapters::{HubFactory, IntegrationPort, until_workers_know};
use crate::cli::{Auth, IntegrationSet, Output};
use crate::config::{Config, ConfigError};
use crate::integration::{Integration, Login, NewIntegration};
use crate::keys::SealingKeys;
use crate::print;
use crate::session::Session;

/// What was given: where the hub is, how to log in, and with which secret.
struct Given {
    host: String,
    login: Login,
    secret: Secret,
}

pub(super) async fn set(
    config: &Config,
    args: IntegrationSet,
    output: Output,
) -> anyhow::Result<()> {
    let keys = SealingKeys::from_config(&config.secrets).await?;
    let factory = HubFactory::from_config(config)?;
    let given = Given::from_args(&args)?;
    let hub = factory
        .connect(&given.host, &given.login, &given.secret)
        .context("hosts beyond Azure's own go into `hub.allowed_hosts`")?;
    if matches!(&given.login, Login::SharedAccess { policy } if policy == "iothubowner") {
        eprintln!(
            "warning: policy iothubowner may do everything; a policy with Registry Read, Registry \
             Write and Service Connect is enough"
        );
    }
    if !args.no_test {
        let tested = permissions::check(&hub, &given.login).await;
        tested.context("not stored (`--no-test` stores it untested)")?;
    }
    let session = Session::for_command(config).await?;
    let store = IntegrationPort::open(config, &session).await?;
    let given = Given {
        // As the allow-list spells it.
        host: hub.host().as_str().to_owned(),
        ..given
    };
    let stored = save(&store, &keys, args, given).await?;
    print::result(output, &shown(&stored), |_| {
        format!(
            "integration of tenant {:?} set: hub {}, {}, generation {}",
            stored.tenant.as_str(),
            stored.clear.hub,
            stored.clear.login,
            stored.clear.generation
        )
    })
}

async fn save(
    store: &IntegrationPort,
    keys: &SealingKeys,
    args: IntegrationSet,
    given: Given,
) -> anyhow::Result<Integration> {
    let tenant = args.of.tenant;
    let before = store.load(&tenant).await?;
    let revision = before.as_ref().map(|(_, revision)| *revision);
    let before = match &before {
        Some((bytes, _)) => Some(Integration::from_bytes(&tenant, bytes)?),
        None => None,
    };
    let new = NewIntegration {
        tenant: &tenant,
        hub: given.host,
        login: given.login,
        tier: args.tier,
        units: args.units,
        description: before
            .as_ref()
            .map_or_else(String::new, |before| before.clear.description.clone()),
        credential: &given.secret,
    };
    let integration = Integration::seal(new, before.as_ref(), &keys.ring())?;
    match store
        .save(&tenant, &integration.to_bytes(), revision)
        .await?
    {
        Saved::Version(_) => {
            until_workers_know().await;
            Ok(integration)
        }
        Saved::Lost => bail!("somebody else changed the integration just now; look and try again"),
    }
}

impl Given {
    fn from_args(args: &IntegrationSet) -> anyhow::Result<Self> {
        // clap saw to it that those that are needed are there.
        let text = |given: &Option<String>| given.clone().unwrap_or_default();
        let (entra_tenant, client_id) = (text(&args.entra_tenant), text(&args.client_id));
        let login = match args.auth {
            Auth::SharedAccess => return Self::from_connection_string(args),
            Auth::ClientSecret => Login::ClientSecret {
                entra_tenant,
                client_id,
            },
            Auth::ClientCertificate => Login::ClientCertificate {
                entra_tenant,
                client_id,
            },
            Auth::WorkloadIdentity => Login::WorkloadIdentity {
                entra_tenant,
                client_id,
            },
            Auth::ManagedIdentity => Login::ManagedIdentity {
                client_id: args.client_id.clone(),
            },
        };
        let secret = if login.has_secret() {
            credential(args)?
        } else if args.credential_file.is_some() || args.credential_env.is_some() {
            return Err(ConfigError("this way to log in has no secret".to_owned()).into());
        } else {
            Secret::from("")
        };
        Ok(Self {
            host: text(&args.hub),
            login,
            secret,
        })
    }

    fn from_connection_string(args: &IntegrationSet) -> anyhow::Result<Self> {
        if args.hub.is_some() || args.entra_tenant.is_some() || args.client_id.is_some() {
            return Err(ConfigError(
                "--hub, --entra-tenant and --client-id belong to the ways of Microsoft Entra ID; \
                 say which with --auth"
                    .to_owned(),
            )
            .into());
        }
        let parsed: ConnectionString = credential(args)?
            .expose()
            .parse()
            .context("the connection string")?;
        let KeyOwner::Policy(policy) = parsed.owner().clone() else {
            bail!("the connection string is that of a device; use that of a shared access policy");
        };
        Ok(Self {
            host: parsed.host().to_owned(),
            login: Login::SharedAccess { policy },
            secret: parsed.key().clone(),
        })
    }
}

/// The credential, from wherever it was put; never from the command line.
fn credential(args: &IntegrationSet) -> anyhow::Result<Secret> {
    let (file, variable) = (
        args.credential_file.as_deref(),
        args.credential_env.as_deref(),
    );
    let text = given::secret(args.auth.what(), file, variable)?;
    Ok(Secret::from(text.as_str()))
}
