//! From an integration's login to a credential.

use anyhow::{Context as _, bail};
use iothub::entra::{
    Authority, ClientCertificate, Entra, EntraApp, EntraSource, IdentityEndpoint, ManagedIdentity,
    SigningAlgorithm, WhichIdentity,
};
use iothub::sas::SigningKey;
use iothub::{Credential, HostName, Options, Secret, SharedAccess};

use std::path::PathBuf;

use crate::config::{self, ConfigError};
use crate::integration::Login;

/// The variable in which AKS names the file with the worker's own token.
const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

/// Who issues tokens, if not the issuer of the hub's cloud.
pub(crate) struct Issuers {
    authority: Option<Authority>,
    identity: IdentityEndpoint,
    token_file: Option<PathBuf>,
}

impl Issuers {
    pub(crate) fn from_config(entra: &config::Entra) -> Result<Self, ConfigError> {
        let bad = |key: &'static str| move |error| ConfigError(format!("`entra.{key}`: {error}"));
        let authority = entra.authority_url.as_deref().map(Authority::configured);
        let identity = match &entra.managed_identity_url {
            Some(url) => IdentityEndpoint::virtual_machine(url),
            None => IdentityEndpoint::from_environment(|name| std::env::var(name).ok()),
        };
        let token_file = entra.federated_token_file.clone();
        Ok(Self {
            authority: authority.transpose().map_err(bad("authority_url"))?,
            identity: identity.map_err(bad("managed_identity_url"))?,
            token_file: token_file
                .or_else(|| std::env::var_os(FEDERATED_TOKEN_FILE).map(Into::into)),
        })
    }

    /// What proves to `host` who we are.
    pub(crate) fn credential(
        &self,
        host: &HostName,
        login: &Login,
        secret: &Secret,
        options: Options,
    ) -> anyhow::Result<Credential> {
        let app = |entra_tenant: &str, client_id: &str| {
            EntraApp::new(self.authority(host)?, entra_tenant, client_id)
        };
        let source = match login {
            Login::SharedAccess { policy } => {
                let key = SigningKey::from_base64(secret)?;
                let shared = SharedAccess::new(policy.clone(), key);
                return Ok(Credential::SharedAccess(shared));
            }
            Login::ClientSecret {
                entra_tenant,
                client_id,
            } => EntraSource::ClientSecret {
                app: app(entra_tenant, client_id)?,
                secret: secret.clone(),
            },
            Login::ClientCertificate {
                entra_tenant,
                client_id,
            } => EntraSource::ClientCertificate {
                app: app(entra_tenant, client_id)?,
                certificate: certificate(secret)?,
            },
            Login::WorkloadIdentity {
                entra_tenant,
                client_id,
            } => {
                let Some(token_file) = self.token_file.clone() else {
                    bail!(
                        "workload identity needs a token: set `entra.federated_token_file`, or run \
                         where {FEDERATED_TOKEN_FILE} is set"
                    );
                };
                let app = app(entra_tenant, client_id)?;
                EntraSource::WorkloadIdentity { app, token_file }
            }
            Login::ManagedIdentity { client_id } => EntraSource::ManagedIdentity(ManagedIdentity {
                which: client_id
                    .clone()
                    .map_or(WhichIdentity::System, WhichIdentity::ClientId),
                endpoint: self.identity.clone(),
                ..ManagedIdentity::default()
            }),
        };
        Ok(Credential::Entra(Entra::new(source, options)?))
    }

    /// The configured authority, or that of the cloud the hub is in.
    fn authority(&self, host: &HostName) -> Result<Authority, iothub::entra::InvalidAuthority> {
        let host = host.as_str();
        match &self.authority {
            Some(configured) => Ok(configured.clone()),
            None if host.ends_with(".azure-devices.us") => "login.microsoftonline.us".parse(),
            None if host.ends_with(".azure-devices.cn") => {
                "login.partner.microsoftonline.cn".parse()
            }
            None => Ok(Authority::default()),
        }
    }
}

fn certificate(pem: &Secret) -> anyhow::Result<ClientCertificate> {
    let pem = pem.expose().as_bytes();
    ClientCertificate::from_pem(pem, pem, SigningAlgorithm::default()).context("the certificate")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cloud_of_the_hub_decides_who_is_asked() {
        let issuers = Issuers::from_config(&config::Entra::default()).unwrap();
        for (host, authority) in [
            ("h.azure-devices.net", "login.microsoftonline.com"),
            ("h.azure-devices.us", "login.microsoftonline.us"),
            ("h.azure-devices.cn", "login.partner.microsoftonline.cn"),
        ] {
            let expected: Authority = authority.parse().unwrap();
            assert_eq!(issuers.authority(&host.parse().unwrap()), Ok(expected));
        }
    }

    #[test]
    fn an_issuer_in_the_configuration_is_checked_as_strictly() {
        for url in [
            "http://login.example.org",
            "login.example.org",
            "https://u:p@x",
        ] {
            let entra = config::Entra {
                authority_url: Some(url.to_owned()),
                ..config::Entra::default()
            };
            let error = Issuers::from_config(&entra).err().unwrap().to_string();
            assert!(error.contains("entra.authority_url"), "{error}");
            assert!(!error.contains(url), "{error}");
        }
    }
}
