//! iot-manager's own configuration: its file and its variables `IOT_MANAGER_…`.
//!
//! What we understand is taken as the key of ours that means the same, and goes behind everything
//! that is set under our own names. Each setting is told once, with the name of the new key; values
//! are never repeated.

use std::collections::BTreeMap;

/// The beginning of its variables.
const PREFIX: &str = "IOT_MANAGER_";

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Legacy {
    /// Keys of ours with their values.
    pub(super) keys: BTreeMap<&'static str, String>,
    /// A line for each setting.
    pub(super) notes: Vec<String>,
}

/// What one setting means.
enum Meaning {
    Keys(Vec<(&'static str, String)>),
    /// Nothing, and why.
    Nothing(&'static str),
    Unknown,
    /// Kubernetes describes services in variables.
    Service,
}

impl Legacy {
    /// From the text of its file, if it is that, and the environment, which goes first.
    pub(super) fn read(
        file: Option<&str>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Self {
        let mut found = Self::default();
        let mut settings = BTreeMap::new();
        for (number, line) in file.unwrap_or_default().lines().enumerate() {
            match setting(line) {
                Some((name, value)) => {
                    settings.insert(name.to_owned(), (name.to_owned(), value));
                }
                None if is_empty(line) => {}
                None => found.notes.push(format!(
                    "line {} of iot-manager's configuration is not understood",
                    number + 1
                )),
            }
        }
        for (variable, value) in variables {
            if let Some(name) = variable.strip_prefix(PREFIX) {
                settings.insert(name.to_ascii_lowercase(), (variable.clone(), value));
            }
        }
        for (name, (shown, value)) in settings {
            found.take(&name, &shown, &value);
        }
        found
    }

    fn take(&mut self, name: &str, shown: &str, value: &str) {
        // Whatever it is called, it goes on a terminal.
        let shown: String = shown.chars().filter(|c| !c.is_control()).collect();
        match meaning(name, value) {
            Meaning::Keys(keys) => {
                let names: Vec<_> = keys.iter().map(|(key, _)| format!("`{key}`")).collect();
                let names = names.join(" and ");
                self.notes.push(format!("{shown} is taken as {names}"));
                for (key, value) in keys {
                    // The fallback key comes behind the main one, whose name sorts after it.
                    match self.keys.get_mut(key) {
                        Some(before) => *before = format!("{value} {before}"),
                        None => {
                            self.keys.insert(key, value);
                        }
                    }
                }
            }
            Meaning::Nothing(why) => self.notes.push(format!("{shown} is not used: {why}")),
            Meaning::Unknown => self
                .notes
                .push(format!("{shown} is not known, and not used")),
            Meaning::Service => {}
        }
    }
}

fn meaning(name: &str, value: &str) -> Meaning {
    let one = |key, value: &str| Meaning::Keys(vec![(key, value.to_owned())]);
    match name {
        "listen" => {
            let address = address(value);
            Meaning::Keys(vec![
                ("iot_manager.internal_listen", address.clone()),
                ("iot_manager.management_listen", address),
            ])
        }
        "nats_uri" => one("nats.url", value),
        "deviceauth_url" => one("mender.deviceauth_url", value),
        "deviceauth_addr" => one("mender.deviceauth_url", &url(value)),
        "aes_encryption_key" | "aes_encryption_fallback_key" => match key(value) {
            Some(key) => one("secrets.key", &key),
            None => Meaning::Nothing("it is not 32 bytes; set `secrets.key_file`"),
        },
        "request_size_limit" => one("iot_manager.request_size_limit", value),
        "domain_skipverify" => {
            let lookup = if is_true(value) { "false" } else { "true" };
            one("iot_manager.lookup_hosts", lookup)
        }
        "debug_log" if is_true(value) => one("log.level", "debug"),
        "debug_log" => Meaning::Nothing("the log is at `log.level`"),
        "domain_whitelist" => {
            Meaning::Nothing("Azure's hosts are always allowed, others with `hub.allowed_hosts`")
        }
        "workflows_url" => {
            Meaning::Nothing("connection strings are delivered through `mender.deviceconfig_url`")
        }
        "event_exp_timeout" => Meaning::Nothing("events are kept for a week"),
        "webhooks_timeout_seconds" => Meaning::Nothing("there are no webhooks"),
        _ if name.starts_with("mongo_") => Meaning::Nothing(
            "records are kept in `store`; `import iot-manager` alone reads iot-manager's database",
        ),
        _ if name.starts_with("port") || name.contains("service_") => Meaning::Service,
        _ => Meaning::Unknown,
    }
}

/// `key: value`, as its file has them.
fn setting(line: &str) -> Option<(&str, String)> {
    let (name, value) = line.split_once(':')?;
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    let value = value.split(" #").next().unwrap_or_default().trim();
    let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    Some((name, value.to_owned()))
}

fn is_empty(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line == "---"
}

/// `:8080` is every address of the machine.
fn address(value: &str) -> String {
    match value.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => value.to_owned(),
    }
}

fn url(value: &str) -> String {
    if value.contains("://") {
        value.to_owned()
    } else {
        format!("http://{value}")
    }
}

/// A key as `secrets.key` has them.
fn key(value: &str) -> Option<String> {
    let key: iot_manager_db::Key = value.parse().ok()?;
    Some(key.to_base64().to_string())
}

fn is_true(value: &str) -> bool {
    ["1", "t", "true"].contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn read(file: Option<&str>, variables: &[(&str, &str)]) -> Legacy {
        let variables = variables.iter();
        let owned = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Legacy::read(file, owned)
    }

    #[test]
    fn its_variables_are_taken_as_keys_of_ours_and_told() {
        let found = read(
            None,
            &[
                ("IOT_MANAGER_LISTEN", ":8080"),
                ("IOT_MANAGER_DEVICEAUTH_ADDR", "mender-device-auth:8080"),
                ("IOT_MANAGER_NATS_URI", "nats://n:4222"),
                ("IOT_MANAGER_DOMAIN_SKIPVERIFY", "true"),
                ("OTHER", "x"),
            ],
        );
        assert_eq!(found.keys["iot_manager.internal_listen"], "0.0.0.0:8080");
        assert_eq!(found.keys["iot_manager.management_listen"], "0.0.0.0:8080");
        let url = &found.keys["mender.deviceauth_url"];
        assert_eq!(url, "http://mender-device-auth:8080");
        assert_eq!(found.keys["iot_manager.lookup_hosts"], "false");
        assert!(
            found
                .notes
                .contains(&"IOT_MANAGER_NATS_URI is taken as `nats.url`".to_owned())
        );
        assert_eq!(found.notes.len(), 4);
    }

    #[test]
    fn its_file_is_understood_and_the_environment_goes_first() {
        let file = "# iot-manager\n---\nlisten: \":9090\"  # here\nmongo_url: mongodb://m\n- odd\n";
        let found = read(Some(file), &[("IOT_MANAGER_LISTEN", "127.0.0.1:1")]);
        assert_eq!(found.keys["iot_manager.internal_listen"], "127.0.0.1:1");
        assert!(
            found
                .notes
                .iter()
                .any(|note| note.starts_with("mongo_url is not used: "))
        );
        assert!(found.notes.iter().any(|note| note.starts_with("line 5 ")));
    }

    #[test]
    fn both_keys_are_kept_the_main_one_first_and_never_told() {
        let (main, old) = (STANDARD.encode([7; 32]), "f".repeat(32));
        let found = read(
            None,
            &[
                ("IOT_MANAGER_AES_ENCRYPTION_KEY", &main),
                ("IOT_MANAGER_AES_ENCRYPTION_FALLBACK_KEY", &old),
            ],
        );
        let expected = format!("{main} {}", STANDARD.encode(&old));
        assert_eq!(found.keys["secrets.key"], expected);
        assert!(!format!("{:?}", found.notes).contains("fff"));
    }

    #[test]
    fn what_is_unknown_is_a_note_and_descriptions_of_services_are_none() {
        let found = read(
            None,
            &[
                ("IOT_MANAGER_PORT_8080_TCP", "tcp://x"),
                ("IOT_MANAGER_SERVICE_HOST", "x"),
                ("IOT_MANAGER_SOMETHING", "secret"),
            ],
        );
        assert_eq!(
            found.notes,
            ["IOT_MANAGER_SOMETHING is not known, and not used"]
        );
        assert!(found.keys.is_empty());
    }
}
