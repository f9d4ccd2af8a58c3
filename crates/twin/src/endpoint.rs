//! The endpoints of the micro service: their names, subjects and descriptions.

use std::collections::HashMap;

use messages::twin::{MAX_METHOD_REQUEST, MAX_REQUEST};

use crate::Verb;

/// One endpoint: a verb, about devices (or a tenant) or about modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// What it does.
    pub verb: Verb,
    /// Whether its subject ends with a module.
    pub module: bool,
}

impl Endpoint {
    /// Every endpoint.
    pub fn all() -> impl Iterator<Item = Self> {
        Verb::ALL.into_iter().flat_map(|verb| {
            let forms: &[bool] = if verb.of_device() {
                &[false, true]
            } else {
                &[false]
            };
            forms.iter().map(move |&module| Self { verb, module })
        })
    }

    /// Its name in the service: the verb, with `-module` behind it for modules.
    #[must_use]
    pub fn name(self) -> String {
        let verb = self.verb.as_str();
        if self.module {
            format!("{verb}-module")
        } else {
            verb.to_owned()
        }
    }

    /// The subject it listens on: tenant, device and module are one token each.
    #[must_use]
    pub fn subject(self, prefix: &str) -> String {
        let ids = match (self.verb.of_device(), self.module) {
            (true, true) => "*.*.*",
            (true, false) => "*.*",
            (false, _) => "*",
        };
        format!("{prefix}.twin.{}.{ids}", self.verb.as_str())
    }

    /// What `nats micro info` shows of it: the schemas, and which permission it asks for.
    pub(crate) fn metadata(self) -> HashMap<String, String> {
        let (request, reply) = self.schemas();
        let permission = if self.verb.edits() { "edit" } else { "read" };
        [
            ("request_schema", request),
            ("reply_schema", reply),
            ("permission", permission),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// The names of the schemas of request and reply, files in `schemas/`.
    #[must_use]
    pub const fn schemas(self) -> (&'static str, &'static str) {
        match self.verb {
            Verb::Get => ("twin-request#/$defs/get", "twin-reply"),
            Verb::Set => ("twin-request#/$defs/set", "twin-reply"),
            Verb::Patch => ("twin-request#/$defs/patch", "twin-reply"),
            Verb::Query => ("twin-query-request", "twin-query-reply"),
            Verb::Method => ("twin-method-request", "twin-method-reply"),
            Verb::JobCreate => ("twin-job-request", "twin-job-reply"),
            Verb::JobGet | Verb::JobCancel => ("twin-job-name", "twin-job-reply"),
        }
    }

    /// The longest request, in bytes.
    pub(crate) const fn longest(self) -> usize {
        match self.verb {
            Verb::Method | Verb::JobCreate => MAX_METHOD_REQUEST,
            _ => MAX_REQUEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenant_is_always_the_fourth_token_and_names_are_unique() {
        let names: Vec<_> = Endpoint::all().map(Endpoint::name).collect();
        let unique: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!((names.len(), unique.len()), (12, 12));
        for endpoint in Endpoint::all() {
            let subject = endpoint.subject("p");
            assert_eq!(subject.split('.').nth(3), Some("*"), "{subject}");
        }
        let module = Endpoint {
            verb: Verb::Set,
            module: true,
        };
        assert_eq!(module.name(), "set-module");
        assert_eq!(module.subject("p"), "p.twin.set.*.*.*");
    }
}
