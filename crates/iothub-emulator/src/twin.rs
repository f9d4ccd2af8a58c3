//! The twin of one device: tags, desired and reported properties, and how edits change them.
//!
//! A twin holds only what is its own; everything it repeats about the device (status, identity
//! etag, thumbprints) is joined in when it is printed. Edits are worked out on a copy and checked
//! against the limits before anything is stored, so a refused edit leaves no trace.

mod limits;
mod metadata;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use metadata::{Author, Metadata};

use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::TwinEtag;

/// A JSON object.
pub(crate) type Document = Map<String, Value>;

/// The fields of a section that the hub owns; callers send them back and they are ignored.
const HUB_OWNED: [&str; 2] = ["$metadata", "$version"];

/// The part of a twin that a caller may write: everything else in the body is ignored.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct TwinDraft {
    tags: Option<Document>,
    properties: Option<PropertiesDraft>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct PropertiesDraft {
    desired: Option<Document>,
}

impl TwinDraft {
    /// An edit of these two sections.
    pub(crate) fn new(tags: Option<Document>, desired: Option<Document>) -> Self {
        Self {
            tags,
            properties: Some(PropertiesDraft {
                desired: desired.map(without_hub_owned),
            }),
        }
    }

    /// Reads a request body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ServiceError> {
        let draft: Self = serde_json::from_slice(body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            ServiceError::invalid(format!("The request body is not a valid twin: {place}."))
        })?;
        let desired = draft.properties.and_then(|properties| properties.desired);
        Ok(Self::new(draft.tags, desired))
    }

    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.tags.is_none() && self.desired().is_none()
    }

    fn desired(&self) -> Option<&Document> {
        self.properties.as_ref()?.desired.as_ref()
    }
}

/// What a twin starts with, if its identity is made in bulk.
#[derive(Debug, Clone, Default)]
pub(crate) struct TwinSeed {
    tags: Document,
    desired: Document,
    reported: Document,
}

impl TwinSeed {
    /// These sections, without what the hub owns.
    pub(crate) fn new(
        tags: Option<Document>,
        desired: Option<Document>,
        reported: Option<Document>,
    ) -> Self {
        let own = |section: Option<Document>| section.map(without_hub_owned).unwrap_or_default();
        Self {
            tags: tags.unwrap_or_default(),
            desired: own(desired),
            reported: own(reported),
        }
    }

    /// The twin that starts with this, all of it in its first version and written at `date`.
    pub(crate) fn grow(self, date: Ticks) -> Result<Twin, ServiceError> {
        check(Some(&self.tags), Some(&self.desired))?;
        check(None, Some(&self.reported))?;
        Ok(Twin {
            tags: self.tags,
            desired: Section::seeded(self.desired, date),
            reported: Section::seeded(self.reported, date),
            ..Twin::new(date)
        })
    }
}

fn without_hub_owned(mut section: Document) -> Document {
    section.retain(|key, _| !HUB_OWNED.contains(&key.as_str()));
    section
}

/// Desired or reported properties.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Section {
    pub(crate) values: Document,
    pub(crate) metadata: Metadata,
    pub(crate) version: u64,
}

impl Section {
    fn untouched(now: Ticks) -> Self {
        Self {
            values: Document::new(),
            metadata: Metadata::untouched(now),
            version: 1,
        }
    }

    /// What was written since version `seen`, when the values were `before`: the patch that a
    /// device is told, with its version in it.
    pub(crate) fn patch_since(&self, seen: u64, before: &Document) -> Document {
        let mut patch = written(before, &self.values, &self.metadata, seen);
        patch.insert("$version".to_owned(), self.version.into());
        patch
    }

    fn seeded(values: Document, date: Ticks) -> Self {
        let mut section = Self::untouched(date);
        if !values.is_empty() {
            section.metadata.touch(&values, None, date, section.version);
            section.values = values;
        }
        section
    }
}

/// The stored twin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Twin {
    pub(crate) etag: TwinEtag,
    pub(crate) tags: Document,
    pub(crate) desired: Section,
    pub(crate) reported: Section,
    /// The configurations that target it.
    pub(crate) marks: BTreeMap<String, Mark>,
}

/// How far a configuration got with a twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mark {
    Targeted,
    Applied,
}

impl Twin {
    /// The twin that comes with a new device.
    pub(crate) fn new(now: Ticks) -> Self {
        Self {
            etag: TwinEtag::FIRST,
            tags: Document::new(),
            desired: Section::untouched(now),
            reported: Section::untouched(now),
            marks: BTreeMap::new(),
        }
    }

    /// Merges an edit: objects merge, scalars and arrays replace, `null` removes. Says whether
    /// anything was written; an edit that names no section writes nothing.
    pub(crate) fn patch(&mut self, edit: &TwinDraft, now: Ticks) -> Result<bool, ServiceError> {
        if edit.is_empty() {
            return Ok(false);
        }
        let tags = edit.tags.as_ref().map(|tags| merged(&self.tags, tags));
        let values = edit
            .desired()
            .map(|desired| merged(&self.desired.values, desired));
        check(tags.as_ref(), values.as_ref())?;
        if let Some(tags) = tags {
            self.tags = tags;
        }
        if let (Some(values), Some(patch)) = (values, edit.desired()) {
            self.desired.version += 1;
            self.desired
                .metadata
                .touch(patch, None, now, self.desired.version);
            self.desired.values = values;
        }
        self.etag = self.etag.next();
        Ok(true)
    }

    /// Brings the desired properties to what they shall be, touching only what differs.
    pub(crate) fn set_desired(
        &mut self,
        wanted: Document,
        author: Option<&Author>,
        now: Ticks,
    ) -> Result<(), ServiceError> {
        check(None, Some(&wanted))?;
        let patch = difference(&self.desired.values, &wanted);
        self.desired.version += 1;
        let version = self.desired.version;
        self.desired.metadata.touch(&patch, author, now, version);
        self.desired.values = wanted;
        self.etag = self.etag.next();
        Ok(())
    }

    /// Merges into the reported properties. The twin's etag stays: it is about what back ends write.
    pub(crate) fn report(&mut self, patch: &Document, now: Ticks) -> Result<(), ServiceError> {
        let values = merged(&self.reported.values, patch);
        check(None, Some(&values))?;
        self.reported.version += 1;
        let version = self.reported.version;
        self.reported.metadata.touch(patch, None, now, version);
        self.reported.values = values;
        Ok(())
    }

    /// Replaces tags and desired properties; what the edit leaves out is gone.
    pub(crate) fn replace(&mut self, edit: &TwinDraft, now: Ticks) -> Result<(), ServiceError> {
        let tags = edit.tags.clone().unwrap_or_default();
        let values = edit.desired().cloned().unwrap_or_default();
        check(Some(&tags), Some(&values))?;
        self.tags = tags;
        self.desired.version += 1;
        self.desired.metadata = Metadata::untouched(now);
        self.desired
            .metadata
            .touch(&values, None, now, self.desired.version);
        self.desired.values = values;
        self.etag = self.etag.next();
        Ok(())
    }
}

fn check(tags: Option<&Document>, desired: Option<&Document>) -> Result<(), ServiceError> {
    let tags = tags.map_or(Ok(()), |tags| {
        limits::check("tags", tags, limits::TAGS_BYTES)
    });
    let desired = || {
        desired.map_or(Ok(()), |it| {
            limits::check("desired", it, limits::PROPERTIES_BYTES)
        })
    };
    tags.and_then(|()| desired())
        .map_err(|broken| match broken {
            limits::Broken::Rule(text) => ServiceError::invalid(text).by_twins(),
            limits::Broken::Size(text) => ServiceError::invalid(text).by_twins().of_oversize(),
        })
}

/// The patch that leads from one document to another.
fn difference(from: &Document, to: &Document) -> Document {
    let gone = from.keys().filter(|key| !to.contains_key(*key));
    let mut patch: Document = gone.map(|key| (key.clone(), Value::Null)).collect();
    for (key, wanted) in to {
        match (from.get(key), wanted) {
            (Some(before), _) if before == wanted => {}
            (Some(Value::Object(before)), Value::Object(wanted)) => {
                patch.insert(key.clone(), Value::Object(difference(before, wanted)));
            }
            _ => {
                patch.insert(key.clone(), wanted.clone());
            }
        }
    }
    patch
}

/// What writes since version `seen` have put into a document, and `null` for what they took away.
fn written(before: &Document, after: &Document, metadata: &Metadata, seen: u64) -> Document {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let mut patch: Document = gone.map(|key| (key.clone(), Value::Null)).collect();
    let nothing = Document::new();
    for (key, value) in after {
        let Some(child) = metadata.child_since(key, seen) else {
            continue;
        };
        let value = match value {
            Value::Object(inner) => {
                let before = before.get(key).and_then(Value::as_object);
                Value::Object(written(before.unwrap_or(&nothing), inner, child, seen))
            }
            leaf => leaf.clone(),
        };
        patch.insert(key.clone(), value);
    }
    patch
}

fn merged(target: &Document, patch: &Document) -> Document {
    let mut result = target.clone();
    merge(&mut result, patch);
    result
}

fn merge(target: &mut Document, patch: &Document) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(inner) => {
                let slot = target
                    .entry(key.as_str())
                    .or_insert_with(|| Value::Object(Document::new()));
                if !slot.is_object() {
                    *slot = Value::Object(Document::new());
                }
                if let Value::Object(existing) = slot {
                    merge(existing, inner);
                }
            }
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
