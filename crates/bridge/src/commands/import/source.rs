//! Where iot-manager's database is, and the keys that open it.

use std::path::Path;

use anyhow::Context as _;
use iot_manager_db::{Key, Options};
use zeroize::Zeroizing;

use super::super::given;
use crate::cli::ImportIotManager;

/// Where iot-manager looks for its database if nobody says.
const DEFAULT: &str = "mongodb://mender-mongo:27017";

/// What a variable of iot-manager's holds, if it is set and not empty.
type Variable<'a> = &'a dyn Fn(&str) -> Option<Zeroizing<String>>;

/// The environment that iot-manager has.
pub(super) fn variable(name: &str) -> Option<Zeroizing<String>> {
    let text = Zeroizing::new(std::env::var(format!("IOT_MANAGER_{name}")).ok()?);
    (!text.is_empty()).then_some(text)
}

pub(super) fn options(args: &ImportIotManager, of: Variable<'_>) -> anyhow::Result<Options> {
    let database = args.database.clone();
    if let Some(file) = &args.mongo_uri_file {
        let uri = given::secret("connection string of MongoDB", Some(file), None)?;
        return Ok(Options::new(uri, database));
    }
    let uri = of("MONGO_URL").unwrap_or_else(|| Zeroizing::new(DEFAULT.to_owned()));
    let mut options = Options::new(uri, database);
    if let Some(user) = of("MONGO_USERNAME") {
        options = options.login(user.to_string(), of("MONGO_PASSWORD"));
    }
    if is_true(of("MONGO_SSL")) {
        let verify = !is_true(of("MONGO_SSL_SKIPVERIFY"));
        if !verify {
            eprintln!(
                "warning: IOT_MANAGER_MONGO_SSL_SKIPVERIFY: nobody proves that this is iot-manager's MongoDB"
            );
        }
        options = options.tls(verify);
    }
    Ok(options)
}

/// The keys, the main one first.
pub(super) fn keys(args: &ImportIotManager, of: Variable<'_>) -> anyhow::Result<Vec<Key>> {
    let given = [
        (&args.key_file, "AES_ENCRYPTION_KEY"),
        (&args.fallback_key_file, "AES_ENCRYPTION_FALLBACK_KEY"),
    ];
    let keys = given.map(|(file, name)| key(file.as_deref(), name, of));
    keys.into_iter().filter_map(Result::transpose).collect()
}

fn key(file: Option<&Path>, name: &str, of: Variable<'_>) -> anyhow::Result<Option<Key>> {
    let (text, place) = match file {
        Some(file) => {
            let text = given::secret("key of iot-manager", Some(file), None)?;
            (Some(text), file.display().to_string())
        }
        None => (of(name), format!("IOT_MANAGER_{name}")),
    };
    text.map(|text| text.parse().context(place)).transpose()
}

fn is_true(value: Option<Zeroizing<String>>) -> bool {
    value.is_some_and(|text| ["1", "t", "true"].contains(&text.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command, Import};

    fn args(words: &[&str]) -> ImportIotManager {
        let words = ["mender-iothub", "import", "iot-manager"]
            .iter()
            .chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Some(Command::Import(Import::IotManager(args))) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_come_from_files_before_variables_the_main_one_first() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "passphrasewhichneedstobe32bytes!\n").unwrap();
        let variables =
            |name: &str| (name == "AES_ENCRYPTION_KEY").then(|| Zeroizing::new("A".repeat(43)));
        assert_eq!(keys(&args(&[]), &variables).unwrap().len(), 1);
        let file = file.display().to_string();
        let both = args(&["--fallback-key-file", &file]);
        assert_eq!(keys(&both, &variables).unwrap().len(), 2);
        assert!(keys(&args(&[]), &|_| None).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_key_is_named_by_its_place_and_not_shown() {
        let error = keys(&args(&[]), &|_| Some(Zeroizing::new("hunter2".to_owned())));
        let error = format!("{:#}", error.unwrap_err());
        assert!(
            error.starts_with("IOT_MANAGER_AES_ENCRYPTION_KEY: "),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
}
