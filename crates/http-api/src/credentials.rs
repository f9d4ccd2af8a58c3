//! What is wrong with an integration, or with its credential, in the words of iot-manager.

use std::collections::BTreeMap;

use crate::connection_string::{self, invalid};
use crate::json::{Object, Wrong};
use crate::ports::{HubKey, Integrations};

/// The longest description, in characters.
const LONGEST_DESCRIPTION: usize = 1024;
/// The one provider there is.
const PROVIDER: &str = "iot-hub";
/// Each provider with the one type that its credentials have.
const PAIRS: [(&str, &str); 3] = [(PROVIDER, "sas"), ("iot-core", "aws"), ("webhook", "http")];
/// Of what a caller sent so much is repeated, in characters.
const SHOWN: usize = 64;

/// What a new integration is to be.
#[derive(Debug)]
pub(crate) struct New {
    pub(crate) description: String,
    pub(crate) key: HubKey,
}

/// Reads the body of a new integration.
pub(crate) async fn integration<I: Integrations>(known: &I, text: &str) -> Result<New, Wrong> {
    let object = Object::read(text)?;
    let id = object.text("id")?;
    if object.get("id").is_some() {
        crate::integrations::uuid(&id).map_err(Wrong)?;
    }
    let (provider, description) = (object.text("provider")?, object.text("description")?);
    let credentials = object.object("credentials")?;
    let kind = credentials.text("type")?;
    let string = credentials.text("connection_string")?;
    // A string that cannot be read is found before anything is validated.
    let key = (!string.is_empty()).then(|| connection_string::parse(&string));
    let key = key.transpose().map_err(Wrong)?;

    let mut faults = BTreeMap::new();
    if description.chars().count() > LONGEST_DESCRIPTION {
        let text = format!("the length must be no more than {LONGEST_DESCRIPTION}");
        faults.insert("description", text);
    }
    if let Some(fault) = credential_fault(&kind, key.is_some()) {
        faults.insert("credentials", format!("({fault}.)"));
    }
    if provider.is_empty() {
        faults.insert("provider", "cannot be blank".to_owned());
    } else if !PAIRS.contains(&(provider.as_str(), kind.as_str())) {
        faults.insert("provider", incompatible(&provider, &kind));
    } else if provider != PROVIDER {
        // Its own checks are no concern of ours any more.
        return Err(Wrong(format!(
            "provider: '{provider}' is not supported, only '{PROVIDER}' is."
        )));
    }
    match key {
        Some(key) if faults.is_empty() => Ok(New {
            description,
            key: trusted(known, key).await?,
        }),
        _ => Err(listed(&faults)),
    }
}

/// Reads the body of a new credential.
pub(crate) async fn credential<I: Integrations>(known: &I, text: &str) -> Result<HubKey, Wrong> {
    let object = Object::read(text)?;
    let kind = object.text("type")?;
    let string = object.text("connection_string")?;
    let key = (!string.is_empty()).then(|| connection_string::parse(&string));
    let key = key.transpose().map_err(Wrong)?;
    if let Some(fault) = credential_fault(&kind, key.is_some()) {
        return Err(Wrong(format!("{fault}.")));
    }
    match key {
        Some(key) if kind == "sas" => trusted(known, key).await,
        _ => Err(Wrong(incompatible(PROVIDER, &kind))),
    }
}

/// What is wrong with a credential by itself.
fn credential_fault(kind: &str, has_string: bool) -> Option<&'static str> {
    match kind {
        "" => Some("type: cannot be blank"),
        "sas" if !has_string => Some("connection_string: cannot be blank"),
        "sas" | "aws" | "http" => None,
        _ => Some("type: must be a valid value"),
    }
}

fn incompatible(provider: &str, kind: &str) -> String {
    let shown = |text: &str| text.chars().take(SHOWN).collect::<String>();
    let (provider, kind) = (shown(provider), shown(kind));
    format!("'{provider}' incompatible with credential type '{kind}'")
}

/// `field: text; field: text.`, in the order of the fields' names.
fn listed(faults: &BTreeMap<&str, String>) -> Wrong {
    let faults = faults
        .iter()
        .map(|(field, text)| format!("{field}: {text}"));
    Wrong(format!("{}.", faults.collect::<Vec<_>>().join("; ")))
}

/// No key is sent, now or later, to a host that is not known to be a hub.
async fn trusted<I: Integrations>(known: &I, key: HubKey) -> Result<HubKey, Wrong> {
    if !known.trusts(&key.host) {
        let text = "HostName: hostname does not refer to a trusted domain.";
        return Err(Wrong(invalid(text)));
    }
    if !known.resolves(&key.host).await {
        let name = key.host.split(':').next().unwrap_or_default();
        let text = format!("HostName: failed to lookup host with name '{name}'.");
        return Err(Wrong(invalid(&text)));
    }
    Ok(key)
}
