//! Whom a request is about: what its subject says behind the verb.

use messages::{DeviceId, ModuleId, TenantId, decode_token};

use crate::{TwinError, Verb};

/// The tokens behind the verb, as they came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) device: Option<&'a str>,
    pub(crate) module: Option<&'a str>,
}

/// Splits a subject of ours. `module` says whether the endpoint is that of modules.
pub(crate) fn tokens(subject: &str, verb: Verb, module: bool) -> Tokens<'_> {
    let mut from_behind = subject.rsplit('.');
    let module = if module { from_behind.next() } else { None };
    let device = if verb.of_device() {
        from_behind.next()
    } else {
        None
    };
    Tokens {
        tenant: from_behind.next().unwrap_or_default(),
        device,
        module,
    }
}

/// Whom a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) tenant: TenantId,
    pub(crate) device: Option<DeviceId>,
    pub(crate) module: Option<ModuleId>,
}

impl Address {
    pub(crate) fn read(tokens: Tokens<'_>) -> Result<Self, TwinError> {
        Ok(Self {
            tenant: part("tenant", tokens.tenant)?,
            device: tokens.device.map(|it| part("device", it)).transpose()?,
            module: tokens.module.map(|it| part("module", it)).transpose()?,
        })
    }
}

fn part<T: std::str::FromStr>(what: &str, token: &str) -> Result<T, TwinError>
where
    T::Err: std::fmt::Display,
{
    let wrong = |why: String| TwinError::Invalid(format!("{what} in the subject: {why}"));
    let text = decode_token(token).map_err(|error| wrong(error.to_string()))?;
    text.parse()
        .map_err(|error: T::Err| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tokens_name_tenant_device_and_module() {
        let all = tokens("p.twin.get.=.dev=2E1.m", Verb::Get, true);
        assert_eq!(
            (all.tenant, all.device, all.module),
            ("=", Some("dev=2E1"), Some("m"))
        );
        let device = tokens("my.own.prefix.twin.set.t.d", Verb::Set, false);
        assert_eq!((device.tenant, device.device), ("t", Some("d")));
        let tenant = tokens("p.twin.query.t", Verb::Query, false);
        assert_eq!((tenant.tenant, tenant.device), ("t", None));
        let address = Address::read(all).unwrap();
        assert_eq!(address.device.unwrap().as_str(), "dev.1");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for (tenant, device, module) in [
            ("t", "=2E=2E", None),
            ("t", "a=3Bb", None),
            ("t", "a=zz", None),
            ("t", "d", Some("=2F")),
            ("=zz", "d", None),
        ] {
            let device = Some(device);
            let tokens = Tokens {
                tenant,
                device,
                module,
            };
            assert!(
                matches!(Address::read(tokens), Err(TwinError::Invalid(_))),
                "{tokens:?}"
            );
        }
    }
}
