//! The reference of all keys, made from the code: what is written above a key in the modules beside it is what
//! its users read.
//!
//! Order and defaults come from the default configuration, the rest from its JSON Schema.

mod example;
mod table;

use std::fmt;
use std::marker::PhantomData;

use schemars::generate::SchemaSettings;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::Config;

pub(crate) use example::example;
pub(crate) use table::reference;

/// A section of the file, such as `[nats]`.
struct Section {
    name: String,
    meaning: String,
    keys: Vec<Key>,
}

/// One key of a section.
struct Key {
    name: String,
    /// What kind of value it takes, for people.
    kind: String,
    /// `None` if the key need not be there.
    default: Option<Value>,
    /// What a value might look like, for a key without default.
    example: Option<Value>,
    meaning: String,
}

/// JSON Schema of the configuration.
pub(crate) fn schema() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value();
    for section in members_mut(&mut schema) {
        section["additionalProperties"] = false.into();
    }
    schema["additionalProperties"] = false.into();
    schema
}

fn members_mut(schema: &mut Value) -> impl Iterator<Item = &mut Value> {
    let properties = schema["properties"].as_object_mut();
    properties
        .into_iter()
        .flat_map(|members| members.values_mut())
}

/// The keys whose values are not the defaults, as `section.key`. No values: some are secrets.
pub(crate) fn keys_set(config: &Config) -> Vec<String> {
    let defaults = ordered(&Config::default());
    let sections = ordered(config).into_iter().zip(defaults);
    let mut set = Vec::new();
    for ((section, keys), (_, defaults)) in sections {
        let keys = keys.0.into_iter().zip(defaults.0);
        let changed = keys.filter(|((_, value), (_, default))| value != default);
        set.extend(changed.map(|((key, _), _)| format!("{section}.{key}")));
    }
    set
}

fn sections() -> Vec<Section> {
    let schema = schema();
    let defaults = ordered(&Config::default());
    defaults
        .into_iter()
        .map(|(name, keys)| {
            let schema = &schema["properties"][&name];
            let key =
                |(key, default): (String, Value)| key_of(&schema["properties"][&key], key, default);
            Section {
                meaning: text(&schema["description"]),
                keys: keys.0.into_iter().map(key).collect(),
                name,
            }
        })
        .collect()
}

fn key_of(schema: &Value, name: String, default: Value) -> Key {
    let choices: Vec<_> = schema["oneOf"].as_array().into_iter().flatten().collect();
    let mut meaning = text(&schema["description"]);
    for choice in &choices {
        let stands_for = text(&choice["description"]);
        let stands_for = stands_for.trim_end_matches('.');
        meaning = format!(
            "{meaning} `{}`: {stands_for}.",
            choice["const"].as_str().unwrap_or_default()
        );
    }
    Key {
        kind: kind(schema, &name, &choices),
        example: schema["examples"].get(0).cloned(),
        default: (!default.is_null()).then_some(default),
        meaning,
        name,
    }
}

/// The type and, where the name says one, the unit.
fn kind(schema: &Value, name: &str, choices: &[&Value]) -> String {
    if !choices.is_empty() {
        let values = choices.iter().map(|choice| choice["const"].to_string());
        return values.collect::<Vec<_>>().join(" or ");
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    let unit = [("_ms", "milliseconds"), ("_s", "seconds")];
    let unit = unit.iter().find(|(suffix, _)| name.ends_with(suffix));
    match (kind, unit) {
        (Some("integer"), Some((_, unit))) => (*unit).to_owned(),
        (Some("array"), _) => "strings".to_owned(),
        (Some("string"), _) if name.ends_with("_file") => "path".to_owned(),
        (kind, _) => kind.unwrap_or("value").to_owned(),
    }
}

/// A doc comment as one line.
fn text(description: &Value) -> String {
    let words = description.as_str().unwrap_or_default().split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

/// Sections and keys with their values, in the order of the code.
fn ordered(config: &Config) -> Vec<(String, Ordered<Value>)> {
    let text = serde_json::to_string(config).unwrap_or_default();
    serde_json::from_str(&text).map_or_else(
        |_| Vec::new(),
        |sections: Ordered<Ordered<Value>>| sections.0,
    )
}

/// The members of a JSON object as they stand there; a map of `serde_json` sorts them.
struct Ordered<T>(Vec<(String, T)>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Members<T> {
    type Value = Ordered<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Ordered(members))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Store, StoreKind};

    /// What a file of `deploy/` must hold, or the command that makes it so.
    fn check(file: &str, made: &str, command: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../deploy")
            .join(file);
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        let differs = kept
            .lines()
            .zip(made.lines())
            .find(|(kept, made)| kept != made);
        assert!(
            kept == made,
            "deploy/{file} is not what the code says, at {differs:?}; from the root of the repository:\n    \
             cargo run --package bridge -- config {command} > deploy/{file}"
        );
    }

    #[test]
    fn the_reference_in_the_documents_is_that_of_the_code() {
        check("configuration.md", &reference(), "reference");
    }

    #[test]
    fn the_example_in_the_documents_is_that_of_the_code() {
        check("mender-iothub.toml", &example(), "example");
    }

    #[test]
    fn each_whole_installation_in_the_documents_can_be_loaded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/examples");
        let files = std::fs::read_dir(folder).unwrap();
        let mut names = Vec::new();
        for file in files {
            let path = file.unwrap().path();
            let config = crate::config::load(Some(&path)).unwrap();
            crate::session::names(&config).unwrap();
            assert!(keys_set(&config).contains(&"nats.password_file".to_owned()));
            names.push(path.file_stem().unwrap().display().to_string());
        }
        names.sort();
        assert_eq!(names, ["cluster", "entra-id", "mongodb", "one-machine"]);
    }

    #[test]
    fn every_section_and_every_key_says_what_it_means() {
        let sections = sections();
        assert!(sections.len() > 10);
        for section in &sections {
            assert!(section.meaning.ends_with('.'), "[{}]", section.name);
            for key in &section.keys {
                let name = format!("{}.{}", section.name, key.name);
                assert!(key.meaning.ends_with('.'), "{name}: {}", key.meaning);
                assert!(!key.meaning.contains('|'), "{name}: no table can hold it");
                assert_ne!(key.kind, "value", "{name}");
            }
        }
    }

    #[test]
    fn keys_that_were_set_are_named_without_their_values() {
        let store = Store {
            kind: StoreKind::MongoDb,
            uri: serde_json::from_str("\"mongodb://u:hunter2@h/\"").unwrap(),
            ..Store::default()
        };
        let config = Config {
            store,
            ..Config::default()
        };
        assert_eq!(keys_set(&config), ["store.kind", "store.uri"]);
    }
}
