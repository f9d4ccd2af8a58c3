//! Finds planted secrets wherever they are and however they are written down.

use std::{fmt::Write as _, fs, path::Path};

use aho_corasick::AhoCorasick;
use anyhow::{Context as _, Result};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

/// A text shorter than this is found by chance.
const SHORTEST: usize = 8;

/// Secrets that must be nowhere.
#[derive(Debug, Default)]
pub struct Canaries {
    needles: Vec<Vec<u8>>,
    /// What each needle is: name and form.
    names: Vec<String>,
}

/// Looks for all canaries at once.
#[derive(Debug)]
pub struct Hunt {
    automaton: AhoCorasick,
    names: Vec<String>,
}

impl Canaries {
    /// Adds a secret in all its forms.
    ///
    /// # Panics
    /// If it is so short that it would be found by chance.
    pub fn add(&mut self, name: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(
            secret.len() >= SHORTEST,
            "{name} is too short to be searched for"
        );
        for (form, needle) in forms(secret) {
            if needle.len() >= SHORTEST && !self.needles.contains(&needle) {
                self.needles.push(needle);
                self.names.push(format!("{name} ({form})"));
            }
        }
    }

    /// Adds a key that is written in base64: the text, and the bytes it stands for.
    pub fn add_key(&mut self, name: &str, key: &str) -> Result<()> {
        self.add(name, key);
        self.add(&format!("bytes of {name}"), STANDARD.decode(key)?);
        Ok(())
    }

    /// Ready to search.
    pub fn hunt(&self) -> Result<Hunt> {
        Ok(Hunt {
            automaton: AhoCorasick::new(&self.needles)?,
            names: self.names.clone(),
        })
    }
}

impl Hunt {
    /// The canaries in this text, each once.
    #[must_use]
    pub fn found_in(&self, text: &[u8]) -> Vec<&str> {
        let mut found: Vec<usize> = self
            .automaton
            .find_overlapping_iter(text)
            .map(|it| it.pattern().as_usize())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .map(|it| self.names[it].as_str())
            .collect()
    }

    /// The same for a file, or for every file below a folder: `what is where`.
    pub fn found_at(&self, path: &Path) -> Result<Vec<String>> {
        let mut found = Vec::new();
        if path.is_dir() {
            for entry in fs::read_dir(path)? {
                found.extend(self.found_at(&entry?.path())?);
            }
            return Ok(found);
        }
        let text = fs::read(path).with_context(|| path.display().to_string())?;
        let place = |name| format!("{name} in {}", path.display());
        found.extend(self.found_in(&text).into_iter().map(place));
        Ok(found)
    }
}

/// A secret as programs write it.
fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![("raw", secret.to_vec())];
    for (name, engine) in [("base64", &STANDARD), ("base64url", &URL_SAFE)] {
        // In the middle of something longer it looks different for each place modulo three.
        forms.extend((0..3).map(|offset| (name, inner_base64(engine, secret, offset))));
    }
    let hex = |upper: bool| {
        let mut text = String::new();
        for byte in secret {
            let _ = if upper {
                write!(text, "{byte:02X}")
            } else {
                write!(text, "{byte:02x}")
            };
        }
        text.into_bytes()
    };
    forms.extend([("hex", hex(false)), ("HEX", hex(true))]);
    let url = percent_encode(secret, NON_ALPHANUMERIC).to_string();
    forms.push(("url-escaped, lower case", lower_escapes(&url).into_bytes()));
    forms.push(("url-escaped", url.into_bytes()));
    if let Ok(text) = std::str::from_utf8(secret) {
        let json = serde_json::Value::from(text).to_string();
        forms.push(("json-escaped", json.trim_matches('"').as_bytes().to_vec()));
        let twice = serde_json::Value::from(json).to_string();
        let twice = twice.trim_matches('"').trim_start_matches(r#"\""#);
        let twice = twice.strip_suffix(r#"\""#).unwrap_or(twice);
        forms.push(("json in json", twice.as_bytes().to_vec()));
        let ascii: String = text.chars().flat_map(char::escape_default).collect();
        forms.push(("debug-escaped", ascii.into_bytes()));
    }
    forms
}

/// The part of the base64 of something longer that only this secret decides.
fn inner_base64(engine: &impl base64::Engine, secret: &[u8], offset: usize) -> Vec<u8> {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(secret);
    let text = engine.encode(&padded).into_bytes();
    let (first, end) = ((offset * 8).div_ceil(6), (offset + secret.len()) * 8 / 6);
    text[first..end].to_vec()
}

/// Escapes with lower-case digits, which some programs write.
fn lower_escapes(text: &str) -> String {
    let mut lower = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        lower.push(c);
        if c == '%' {
            lower.extend(
                chars
                    .by_ref()
                    .take(2)
                    .map(|digit| digit.to_ascii_lowercase()),
            );
        }
    }
    lower
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = r#"Sesame"open\it+/=öffne"#;

    fn hunt() -> Hunt {
        let mut canaries = Canaries::default();
        canaries.add("sesame", SECRET);
        canaries.hunt().unwrap()
    }

    #[test]
    fn a_secret_is_found_in_every_form_and_inside_of_longer_texts() {
        let url = percent_encode(SECRET.as_bytes(), NON_ALPHANUMERIC).to_string();
        let json = serde_json::json!({"a": SECRET}).to_string();
        for text in [
            format!("x{SECRET}y"),
            STANDARD.encode(SECRET),
            STANDARD.encode(format!("user:{SECRET}")),
            STANDARD.encode(format!("u:{SECRET}!")),
            URL_SAFE.encode(format!("us:{SECRET}")),
            lower_escapes(&url),
            url,
            serde_json::json!({"inside": json}).to_string(),
            json,
            format!("{SECRET:?}"),
            SECRET.escape_default().to_string(),
            SECRET
                .bytes()
                .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")),
            SECRET
                .bytes()
                .fold(String::new(), |hex, byte| format!("{hex}{byte:02X}")),
        ] {
            assert!(!hunt().found_in(text.as_bytes()).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for text in ["", "Sesame", "sesame\"open", "U2VzYW1l"] {
            assert_eq!(
                hunt().found_in(text.as_bytes()),
                Vec::<&str>::new(),
                "{text}"
            );
        }
    }

    #[test]
    fn folders_are_searched_to_the_bottom() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("c"), format!("..{SECRET}..")).unwrap();
        let found = hunt().found_at(folder.path()).unwrap();
        assert!(found.iter().all(|it| it.ends_with("a/b/c")), "{found:?}");
        assert!(!found.is_empty());
    }
}
