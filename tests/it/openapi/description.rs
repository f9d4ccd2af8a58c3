//! The description, made ready for judging: Swagger 2.0 turned into JSON Schema.
//!
//! Three things are read more strictly or more loosely than they stand there. Objects with named
//! properties have no others. `type: object` without properties is what the generator of Microsoft's
//! SDKs takes for any JSON. And a `date-time` needs its time zone.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::departures::{Departure, Place};

const FILE: &str = include_str!("../../data/iothub.openapi.json");
/// RFC 3339, of which the service writes up to seven digits of a second.
const DATE_TIME: &str = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$";

/// All operations.
pub(super) struct Description {
    pub(super) operations: Vec<Operation>,
}

/// One operation.
pub(super) struct Operation {
    pub(super) name: String,
    /// In capitals.
    pub(super) method: String,
    /// With names in braces.
    pub(super) path: String,
    /// Query parameters, and whether they are numbers.
    pub(super) query: BTreeMap<String, bool>,
    /// The headers of requests that it knows, in small letters.
    pub(super) headers: Vec<String>,
    pub(super) trailing_slash: bool,
    /// What a body has to fit; `None` if there is none.
    pub(super) body: Option<Validator>,
    pub(super) answers: BTreeMap<u16, Answer>,
}

/// A good answer.
pub(super) struct Answer {
    /// What its body has to fit; `None` if there is none.
    pub(super) body: Option<Validator>,
    /// What it has to fit instead if it has rows of this kind.
    pub(super) rows: BTreeMap<String, Validator>,
    /// Its own headers, in small letters.
    pub(super) headers: Vec<String>,
}

impl Description {
    /// The description with these departures from it.
    pub(super) fn new(departures: &[Departure]) -> Result<Self> {
        let file: Value = serde_json::from_str(FILE)?;
        let maker = Maker {
            definitions: definitions(&file, departures)?,
            departures,
        };
        let paths = file["paths"].as_object().context("paths")?;
        let operations = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(|(method, described)| maker.operation(method, path, described))
        });
        let operations = operations.collect::<Result<_>>()?;
        Ok(Self { operations })
    }
}

struct Maker<'a> {
    definitions: Value,
    departures: &'a [Departure],
}

impl Maker<'_> {
    fn operation(&self, method: &str, path: &str, described: &Value) -> Result<Operation> {
        let name = text(&described["operationId"]);
        let parameters = described["parameters"].as_array();
        let parameters: Vec<&Value> = parameters.into_iter().flatten().collect();
        let of = |place: &str| -> Vec<&Value> {
            let here = parameters.iter().filter(|it| it["in"] == place);
            here.copied().collect()
        };
        let number = |it: &&Value| (text(&it["name"]), it["type"] == "integer");
        let body = of("body")
            .first()
            .map(|it| self.validator(&it["schema"], &[]));
        let mut headers: Vec<String> = of("header").iter().map(|it| small(&it["name"])).collect();
        headers.extend(self.headers_beside(&name));
        let answers = described["responses"].as_object().context("responses")?;
        let answers = answers
            .iter()
            .map(|(status, it)| self.answer(&name, status, it));
        Ok(Operation {
            method: method.to_uppercase(),
            path: path.to_owned(),
            query: of("query").iter().map(number).collect(),
            headers,
            trailing_slash: self.departs(&Place::TrailingSlash(name.clone())),
            body: body.transpose()?,
            answers: answers.collect::<Result<_>>()?,
            name,
        })
    }

    fn answer(&self, operation: &str, status: &str, described: &Value) -> Result<(u16, Answer)> {
        let place = Place::Answer(operation.to_owned());
        let here = || self.departures.iter().filter(|it| it.at == place);
        let always = here().filter(|it| it.for_rows.is_empty());
        let also: Vec<&Value> = always.map(|it| &it.also).collect();
        let mut rows = BTreeMap::new();
        for departure in here() {
            for kind in &departure.for_rows {
                rows.insert(kind.clone(), self.validator(&departure.also, &[])?);
            }
        }
        let schema = described.get("schema");
        let headers = described["headers"].as_object().into_iter().flatten();
        let answer = Answer {
            body: schema.map(|it| self.validator(it, &also)).transpose()?,
            rows,
            headers: headers.map(|(name, _)| name.to_lowercase()).collect(),
        };
        Ok((status.parse()?, answer))
    }

    fn headers_beside(&self, operation: &str) -> impl Iterator<Item = String> {
        let names = self.departures.iter().filter_map(move |it| match &it.at {
            Place::RequestHeader(place) => {
                let (of, header) = place.split_once(' ')?;
                (of == operation).then(|| header.to_owned())
            }
            _ => None,
        });
        names.collect::<Vec<_>>().into_iter()
    }

    fn departs(&self, place: &Place) -> bool {
        self.departures.iter().any(|it| it.at == *place)
    }

    fn validator(&self, schema: &Value, also: &[&Value]) -> Result<Validator> {
        let mut schema = converted(schema, self.departures);
        for also in also {
            depart(&mut schema, also);
        }
        schema["definitions"] = self.definitions.clone();
        validator(&schema)
    }
}

/// Compiles a schema.
pub(super) fn validator(schema: &Value) -> Result<Validator> {
    let options = jsonschema::options().with_draft(Draft::Draft202012);
    options
        .build(schema)
        .map_err(|error| anyhow::anyhow!("{error}"))
}

/// The named objects as JSON Schema.
pub(super) fn definitions(file: &Value, departures: &[Departure]) -> Result<Value> {
    let all = file["definitions"].as_object().context("definitions")?;
    let convert = |(name, schema): (&String, &Value)| {
        let mut schema = converted(schema, departures);
        for departure in departures {
            let Place::Property(place) = &departure.at else {
                continue;
            };
            let Some((of, property)) = place.split_once('.') else {
                continue;
            };
            if of == name {
                depart(&mut schema["properties"][property], &departure.also);
            }
        }
        (name.clone(), schema)
    };
    Ok(Value::Object(all.iter().map(convert).collect()))
}

/// Lets something more pass.
fn depart(schema: &mut Value, also: &Value) {
    *schema = match schema.take() {
        Value::Null => also.clone(),
        described => json!({"anyOf": [described, also]}),
    };
}

fn converted(schema: &Value, departures: &[Departure]) -> Value {
    let Value::Object(schema) = schema else {
        return match schema {
            Value::Array(items) => items.iter().map(|it| converted(it, departures)).collect(),
            other => other.clone(),
        };
    };
    let is_object = schema.get("type").is_some_and(|it| it == "object");
    let named = schema.get("properties").is_some();
    let others = schema.get("additionalProperties").is_some();
    if is_object && !named && !others {
        return json!({});
    }
    let kept = schema
        .iter()
        .filter(|(name, _)| *name != "description" || named);
    let mut made: Map<String, Value> = kept
        .map(|(name, value)| (name.clone(), converted(value, departures)))
        .collect();
    if is_object && named && !others {
        made.insert("additionalProperties".into(), false.into());
    }
    if schema.get("format").is_some_and(|it| it == "date-time") {
        return date_time(departures);
    }
    Value::Object(made)
}

fn date_time(departures: &[Departure]) -> Value {
    let here = departures
        .iter()
        .filter(|it| it.at == Place::Format("date-time".into()));
    let mut choices = vec![json!({"type": "string", "pattern": DATE_TIME})];
    choices.extend(here.map(|it| it.also.clone()));
    json!({ "anyOf": choices })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn small(value: &Value) -> String {
    text(value).to_lowercase()
}
