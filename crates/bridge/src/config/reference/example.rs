//! `config example`: a configuration file with every key.

use std::fmt::Write as _;

use super::{Key, sections};

/// Columns of a line.
const WIDTH: usize = 115;

const HEAD: &str = "\
# The configuration of mender-iothub: every key, with its default. A line with one `#` before the key is a
# key without a default; take the `#` away to set it.
#
#   mender-iothub --config mender-iothub.toml run
#
# Each key can also be set in the environment, which goes before this file: `hub.lease_ms` is
# MENDER_IOTHUB__HUB__LEASE_MS. Unknown keys are refused. Times say their unit in their name. This is what
# `mender-iothub config example` prints; configuration.md has the same in tables.
";

/// The example as TOML.
pub(crate) fn example() -> String {
    let mut file = HEAD.to_owned();
    for section in sections() {
        // Writing to a text cannot fail.
        let _ = write!(file, "\n{}[{}]\n", comment(&section.meaning), section.name);
        for (index, key) in section.keys.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            let _ = writeln!(file, "{gap}{}{}", comment(&key.meaning), line(key));
        }
    }
    file
}

fn line(key: &Key) -> String {
    match (&key.default, &key.example) {
        (Some(default), _) => format!("{} = {default}", key.name),
        (None, Some(example)) => format!("# {} = {example}", key.name),
        (None, None) => format!("# {} = \"...\"", key.name),
    }
}

/// Text as comment lines, broken between words.
fn comment(text: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in text.split(' ') {
        let fits = lines
            .last()
            .is_some_and(|line| line.len() + 1 + word.len() <= WIDTH);
        match lines.last_mut() {
            Some(line) if fits => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("# {word}")),
        }
    }
    lines.join("\n") + "\n"
}
