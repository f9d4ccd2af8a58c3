//! `config reference`: a page with a table for each section.

use std::fmt::Write as _;

use super::{Key, Section, sections};

const HEAD: &str = "\
# Configuration

Every key, by section. This page is what `mender-iothub config reference` prints, and is made from the code.
[mender-iothub.toml](mender-iothub.toml) has the same as a file to begin with (`config example`), [examples](examples)
what a whole installation sets.

One TOML file, named by `--config` or `MENDER_IOTHUB_CONFIG`. Each key can also be set in the environment, which goes
before the file: `hub.lease_ms` is `MENDER_IOTHUB__HUB__LEASE_MS`, a list is separated by commas there. Unknown keys
are refused, with the nearest right one. \"none\" means that the key need not be there. Changes take effect at the next
start; `mender-iothub config check` says beforehand whether the worker would start with them.
";

/// The reference as Markdown.
pub(crate) fn reference() -> String {
    sections()
        .iter()
        .fold(HEAD.to_owned(), |page, section| page + &table(section))
}

fn table(section: &Section) -> String {
    let Section {
        name,
        meaning,
        keys,
    } = section;
    let mut text = format!("\n## `[{name}]`\n\n{meaning}\n\n");
    text += "| key | type | default | meaning |\n| --- | --- | --- | --- |\n";
    for key in keys {
        let Key {
            name: key,
            kind,
            meaning,
            ..
        } = key;
        let default = default(&section.keys, key);
        // Writing to a text cannot fail.
        let _ = writeln!(text, "| `{name}.{key}` | {kind} | {default} | {meaning} |");
    }
    text
}

fn default(keys: &[Key], name: &str) -> String {
    let default = keys.iter().find(|key| key.name == name);
    match default.and_then(|key| key.default.as_ref()) {
        None => "none".to_owned(),
        Some(value) => match value.as_str() {
            Some(text) => format!("`{text}`"),
            None => format!("`{value}`"),
        },
    }
}
