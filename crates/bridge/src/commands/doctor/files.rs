//! Files with secrets that others on this machine can read.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::finding::Finding;
use crate::config::Config;

const CHECK: &str = "files";
/// Anybody may read, write or run it.
const OTHERS: u32 = 0o007;

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let nats = &config.nats;
    let files = [
        ("secrets.key_file", &config.secrets.key_file),
        ("nats.password_file", &nats.password_file),
        ("nats.token_file", &nats.token_file),
        ("nats.nkey_file", &nats.nkey_file),
        ("nats.credentials_file", &nats.credentials_file),
        ("store.uri_file", &config.store.uri_file),
    ];
    let named = files
        .iter()
        .filter_map(|(key, path)| Some((*key, path.as_deref()?)));
    let found: Vec<_> = named
        .filter_map(|(key, path)| open_to_all(key, path))
        .collect();
    if found.is_empty() {
        return vec![Finding::ok(
            CHECK,
            "no secret is in a file that everybody can read",
        )];
    }
    found
}

/// Whoever needs the file finds out that it is missing; here it is only about others.
fn open_to_all(key: &str, path: &Path) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & OTHERS != 0).then(|| {
        let path = path.display();
        Finding::problem(
            CHECK,
            format!(
                "`{key}` {path}: everybody on this machine can read it (mode {:o})",
                mode & 0o777
            ),
        )
        .with_advice(format!(
            "chmod o= {path}, and think about whether the secret must be replaced"
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn a_key_that_everybody_can_read_is_a_problem() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut config = Config::default();
        config.secrets.key_file = Some(file.path().to_owned());
        for (mode, severity) in [(0o640, Severity::Ok), (0o644, Severity::Problem)] {
            fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            let found = check(&config);
            assert_eq!(found[0].severity, severity, "{found:?}");
        }
    }
}
