//! `$metadata`: when, and with which version, each object and each leaf was last written.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::Document;
use crate::dates::Ticks;

/// The configuration behind a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Author {
    /// Its id.
    pub(crate) by: String,
    /// A digest of its content.
    pub(crate) digest: String,
}

/// The metadata of one object or leaf, and of what is inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    updated: Ticks,
    /// `None` until the first write.
    version: Option<u64>,
    /// The configuration that wrote it, on leaves only.
    author: Option<Box<Author>>,
    children: BTreeMap<String, Metadata>,
}

impl Metadata {
    /// Metadata of a section nobody has written.
    pub(crate) const fn untouched(now: Ticks) -> Self {
        Self {
            updated: now,
            version: None,
            author: None,
            children: BTreeMap::new(),
        }
    }

    /// The metadata of one key, if it was written after version `seen`.
    pub(super) fn child_since(&self, key: &str, seen: u64) -> Option<&Self> {
        let child = self.children.get(key)?;
        (child.version > Some(seen)).then_some(child)
    }

    /// Marks everything that `patch` writes, and all objects on the way there.
    pub(crate) fn touch(
        &mut self,
        patch: &Document,
        author: Option<&Author>,
        now: Ticks,
        version: u64,
    ) {
        self.updated = now;
        self.version = Some(version);
        for (key, value) in patch {
            match value {
                Value::Null => {
                    self.children.remove(key);
                }
                Value::Object(inner) => {
                    let child = self
                        .children
                        .entry(key.clone())
                        .or_insert(Self::untouched(now));
                    child.touch(inner, author, now, version);
                }
                _ => {
                    let leaf = Self {
                        updated: now,
                        version: Some(version),
                        author: author.cloned().map(Box::new),
                        children: BTreeMap::new(),
                    };
                    self.children.insert(key.clone(), leaf);
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let document = Document::deserialize(input)?;
        Self::read(document).ok_or_else(|| D::Error::custom("not the metadata of a twin"))
    }
}

impl Metadata {
    /// The inverse of how it is printed. Users' keys never start with a dollar sign.
    fn read(mut document: Document) -> Option<Self> {
        let text = |value: Value| value.as_str().map(str::to_owned);
        let updated = document.remove("$lastUpdated").and_then(text)?;
        let version = document.remove("$lastUpdatedVersion");
        let by = document.remove("$lastUpdatedBy").and_then(text);
        let digest = document.remove("$lastUpdatedByDigest").and_then(text);
        let author = by
            .zip(digest)
            .map(|(by, digest)| Box::new(Author { by, digest }));
        let child = |(key, value)| match value {
            Value::Object(inner) => Some((key, Self::read(inner)?)),
            _ => None,
        };
        Some(Self {
            updated: Ticks::parse(&updated)?,
            version: version.and_then(|it| it.as_u64()),
            author,
            children: document.into_iter().map(child).collect::<Option<_>>()?,
        })
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("$lastUpdated", &self.updated)?;
        if let Some(version) = self.version {
            map.serialize_entry("$lastUpdatedVersion", &version)?;
        }
        if let Some(author) = &self.author {
            map.serialize_entry("$lastUpdatedBy", &author.by)?;
            map.serialize_entry("$lastUpdatedByDigest", &author.digest)?;
        }
        for (key, child) in &self.children {
            map.serialize_entry(key, child)?;
        }
        map.end()
    }
}
