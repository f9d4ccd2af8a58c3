//! Reading the configuration from its file and the environment.

use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat};
use serde_json::Value;

use super::legacy::Legacy;
use super::{Config, SecretText};

/// Why the configuration cannot be used: one line, naming the key and where it stands.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub(crate) String);

/// Variables beginning with this set keys: `MENDER_IOTHUB__HUB__LEASE_MS` is `hub.lease_ms`.
const ENVIRONMENT: &str = "MENDER_IOTHUB";

/// Reads and checks the configuration. Without a file, the defaults and the environment.
pub(crate) fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let mut builder = config::Config::builder();
    let text = file.map(text_of).transpose()?;
    let is_legacy = file.is_some_and(is_yaml);
    if let Some(text) = text.as_ref().filter(|_| !is_legacy) {
        builder = builder.add_source(File::from_str(text, FileFormat::Toml));
    }
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let legacy = Legacy::read(text.as_deref().filter(|_| is_legacy), variables);
    let environment = Environment::with_prefix(ENVIRONMENT)
        .prefix_separator("__")
        .separator("__");
    let place = file.map_or_else(
        || "the environment".to_owned(),
        |path| path.display().to_string(),
    );
    let wrong = |error| ConfigError(format!("{place}: {}", in_a_line(&error)));
    builder = builder.add_source(environment);
    let ours = builder.build_cloned().map_err(wrong)?;
    for (key, value) in &legacy.keys {
        // Keys that name a secret in another way contradict this one.
        let section = key.split('.').next().unwrap_or_default();
        if section != "secrets" || ours.get_table(section).is_err() {
            builder = builder.set_default(*key, value.as_str()).map_err(wrong)?;
        }
    }
    for note in &legacy.notes {
        eprintln!("mender-iothub: {note}");
    }
    let merged = builder.build().map_err(wrong)?;
    let mut unknown = Vec::new();
    let config: Config = serde_ignored::deserialize(merged, |path| unknown.push(path.to_string()))
        .map_err(|error| ConfigError(format!("{place}: {}", in_a_line(&error))))?;
    if let Some(key) = unknown.first() {
        return Err(ConfigError(format!(
            "{place}: unknown key `{key}`{}",
            hint(key)
        )));
    }
    check(&config).map_err(|problem| ConfigError(format!("{place}: {problem}")))?;
    Ok(config)
}

fn text_of(path: &Path) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path);
    text.map_err(|error| ConfigError(format!("configuration file {}: {error}", path.display())))
}

/// iot-manager's file, and nobody else's, is YAML.
fn is_yaml(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ["yaml", "yml"].contains(&ending))
}

/// An error without the excerpt that the TOML parser draws below it.
fn in_a_line(error: &config::ConfigError) -> String {
    let text = error.to_string();
    let words = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.contains('|') && !line.is_empty());
    words.collect::<Vec<_>>().join(": ")
}

/// The nearest key there is, if one is near.
fn hint(unknown: &str) -> String {
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut known = Vec::new();
    collect(&defaults, "", &mut known);
    known
        .iter()
        .map(|key| (strsim::damerau_levenshtein(key, unknown), key))
        .min()
        .filter(|(distance, _)| *distance <= unknown.len().max(6) / 2)
        .map(|(_, key)| format!("; did you mean `{key}`?"))
        .unwrap_or_default()
}

fn collect(value: &Value, path: &str, keys: &mut Vec<String>) {
    let Value::Object(members) = value else {
        keys.push(path.to_owned());
        return;
    };
    for (name, member) in members {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        collect(member, &path, keys);
    }
}

fn check(config: &Config) -> Result<(), String> {
    let hub = &config.hub;
    if hub.request_timeout_ms == 0 {
        return Err("`hub.request_timeout_ms` must be more than 0".to_owned());
    }
    if hub.lease() < hub.request_timeout() * 2 {
        return Err(
            "`hub.lease_ms` must be at least twice `hub.request_timeout_ms`, or 0".to_owned(),
        );
    }
    if hub.full_wait_ms == 0 {
        return Err("`hub.full_wait_ms` must be more than 0".to_owned());
    }
    let retry = &config.retry;
    if retry.first_ms == 0 || retry.first_ms > retry.cap_ms || retry.max_age_s == 0 {
        return Err("`retry` needs 0 < first_ms <= cap_ms and max_age_s > 0".to_owned());
    }
    if config.worker.in_flight == 0 || config.worker.max_deliveries == 0 {
        return Err(
            "`worker.in_flight` and `worker.max_deliveries` must be more than 0".to_owned(),
        );
    }
    let sweep = &config.sweep;
    if sweep.every_s == 0 || !(0.0..=1.0).contains(&sweep.max_change_share) {
        return Err("`sweep` needs every_s > 0 and max_change_share from 0 to 1".to_owned());
    }
    config.webhook.check()?;
    config.telemetry.check()?;
    if config.nats.url.trim().is_empty() {
        return Err("`nats.url` is empty".to_owned());
    }
    config.iot_manager.check()?;
    Ok(())
}

/// A secret given in the configuration or in a file of its own; `name` is for the error.
pub(crate) fn secret(
    name: &str,
    given: Option<&SecretText>,
    file: Option<&PathBuf>,
) -> Result<Option<iothub::Secret>, ConfigError> {
    match (given, file) {
        (Some(_), Some(_)) => Err(ConfigError(format!(
            "`{name}` and `{name}_file` are both set; keep one"
        ))),
        (Some(text), None) => Ok(Some(iothub::Secret::from(text.expose().to_owned()))),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                ConfigError(format!("`{name}_file` {}: {error}", path.display()))
            })?;
            Ok(Some(iothub::Secret::from(text.trim().to_owned())))
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn from(text: &str) -> Result<Config, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        load(Some(file.path())).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let config = from("").unwrap();
        assert_eq!(config.hub.lease(), std::time::Duration::from_secs(130));
        assert_eq!(config.nats.prefix, "iothub");
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_right_one() {
        let error = from("[hub]\nrequest_timeot_ms = 5\n").unwrap_err();
        assert!(
            error.contains("unknown key `hub.request_timeot_ms`"),
            "{error}"
        );
        assert!(
            error.contains("did you mean `hub.request_timeout_ms`"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_type_and_a_wrong_value_name_the_key() {
        let error = from("[hub]\nrequest_timeout_ms = \"soon\"\n").unwrap_err();
        assert!(error.contains("request_timeout_ms"), "{error}");
        let error = from("[hub]\nrequest_timeout_ms = 1000\nlease_ms = 1500\n").unwrap_err();
        assert!(error.contains("`hub.lease_ms`"), "{error}");
    }

    #[test]
    fn secrets_do_not_show() {
        let config = from("[nats]\npassword = \"hunter2\"\n").unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
