//! Rows of a query: how an attribute is found in the state, without making JSON of the rest.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::identity::Status;
use crate::module::Module;
use crate::registry::Device;
use crate::twin::{Document, Section, Twin};
use crate::views;

/// A value, or `None` for what is not there.
pub(crate) type Datum<'a> = Option<Cow<'a, Value>>;

/// Something attributes can be asked of.
pub(crate) trait Row {
    /// The attribute at a canonical path.
    fn get(&self, path: &[String]) -> Datum<'_>;
}

/// The twin of a device or of one of its modules.
#[derive(Clone, Copy)]
pub(crate) struct TwinRow<'a> {
    pub(crate) device: &'a Device,
    pub(crate) module: Option<&'a Module>,
    /// Whether users' own keys are found in any case.
    pub(crate) any_case: bool,
}

impl Row for TwinRow<'_> {
    fn get(&self, path: &[String]) -> Datum<'_> {
        let (first, rest) = path.split_first()?;
        let twin = self.twin();
        match (first.as_str(), rest) {
            ("tags", []) => (!twin.tags.is_empty()).then(|| object(&twin.tags))?,
            ("tags", rest) => dig(&twin.tags, rest, self.any_case),
            ("properties", []) => {
                let (desired, reported) = (whole(&twin.desired), whole(&twin.reported));
                owned(json!({"desired": desired, "reported": reported}))
            }
            ("properties", [which, rest @ ..]) => match which.as_str() {
                "desired" => section(&twin.desired, rest, self.any_case),
                "reported" => section(&twin.reported, rest, self.any_case),
                _ => None,
            },
            (name, []) => self.field(name),
            (name, rest) => {
                let value = self.field(name)?.into_owned();
                let mut keys = rest.iter();
                owned(keys.try_fold(value, |value, key| value.get(key).cloned())?)
            }
        }
    }
}

impl TwinRow<'_> {
    fn twin(&self) -> &Twin {
        self.module.map_or(&self.device.twin, |it| &it.twin)
    }

    fn field(&self, name: &str) -> Datum<'static> {
        let identity = &self.device.identity;
        match name {
            "deviceId" => owned(identity.device_id.as_str()),
            "moduleId" => owned(self.module?.identity.module_id.as_str()),
            "etag" => owned(self.twin().etag.text()),
            "version" => owned(self.twin().etag.version()),
            "status" if self.module.is_none() => owned(match identity.status {
                Status::Enabled => "enabled",
                Status::Disabled => "disabled",
            }),
            // Rarely asked for: what the view of the twin says is good enough.
            _ => {
                let view = match self.module {
                    None => views::twin(self.device, LATEST),
                    Some(module) => views::modules::twin(&identity.device_id, module, LATEST),
                };
                let view: Value = serde_json::from_str(&view).ok()?;
                owned(view.get(name)?.clone())
            }
        }
    }
}

/// What a job did to a device.
pub(crate) struct JobRow(pub(crate) Value);

impl Row for JobRow {
    fn get(&self, path: &[String]) -> Datum<'_> {
        let mut keys = path.iter();
        let found = keys.try_fold(&self.0, |value, key| value.get(key));
        found.map(Cow::Borrowed)
    }
}

/// The dialect in which thumbprints have the names that queries use.
const LATEST: &str = "2020-09-30";

fn section<'a>(section: &'a Section, path: &[String], any_case: bool) -> Datum<'a> {
    match path.split_first() {
        None => owned(whole(section)),
        Some((first, [])) if first == "$version" => owned(section.version),
        Some((first, rest)) if first == "$metadata" => {
            let metadata = serde_json::to_value(&section.metadata).ok()?;
            let found = rest
                .iter()
                .try_fold(metadata, |it, key| it.get(key).cloned());
            owned(found?)
        }
        Some(_) => dig(&section.values, path, any_case),
    }
}

fn whole(section: &Section) -> Value {
    let mut values = section.values.clone();
    let metadata = serde_json::to_value(&section.metadata).unwrap_or_default();
    values.insert("$metadata".to_owned(), metadata);
    values.insert("$version".to_owned(), json!(section.version));
    Value::Object(values)
}

fn dig<'a>(document: &'a Document, path: &[String], any_case: bool) -> Datum<'a> {
    let (first, rest) = path.split_first()?;
    let exact = document.get(first);
    let value = if any_case {
        let alike = || {
            document
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(first))
        };
        exact.or_else(|| alike().map(|(_, value)| value))?
    } else {
        exact?
    };
    if rest.is_empty() {
        return Some(Cow::Borrowed(value));
    }
    dig(value.as_object()?, rest, any_case)
}

fn object(document: &Document) -> Datum<'_> {
    owned(Value::Object(document.clone()))
}

/// A value that stands in no row.
#[expect(
    clippy::unnecessary_wraps,
    reason = "all who call it answer with a datum"
)]
pub(super) fn owned(value: impl Into<Value>) -> Datum<'static> {
    Some(Cow::Owned(value.into()))
}
