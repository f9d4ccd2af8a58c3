//! Makes what the worker needs, and brings what is there up to date.
//!
//! It may be run at any time and as often as one likes: what is right already is not touched, and
//! each thing is reported with what was done about it. A dry run does everything but the writes.

use async_nats::jetstream::{Context, ErrorCode, consumer::pull, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use reconciler::ports::IntegrationStore as _;

use crate::{
    Error, Feed, KvIntegrations, Names, Result,
    assets::{self, Asset},
    error::api_error,
    names::overlap,
};

/// How to set up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup {
    /// Copies of each stream in a cluster; 1 for new ones and no change for old ones if `None`.
    pub replicas: Option<usize>,
    /// Only look what would be done.
    pub dry_run: bool,
    /// Something else than Mender's stream brings the events: make no consumer there.
    pub without_source: bool,
}

/// What was done about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `stream`, `bucket` or `consumer`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What was done, or would be.
    pub action: Action,
}

/// What was done about something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It was not there.
    Created,
    /// These settings were not right.
    Changed(Vec<String>),
    /// It was as it should be.
    Unchanged,
    /// The source stream is not there yet; the worker goes on looking for it.
    Waiting,
}

/// Makes streams, buckets and consumers, in this order.
pub async fn setup(context: &Context, names: &Names, how: Setup) -> Result<Vec<Change>> {
    crate::check_server(&context.client())?;
    let mut changes = Vec::new();
    for asset in assets::assets(names) {
        let action = ensure_stream(context, &asset, how).await?;
        changes.push(Change {
            kind: asset.kind,
            name: asset.shown,
            action,
        });
    }
    let (events, told) = (names.events_stream(), names.advisory_stream());
    let action = own_consumer(context, &events, assets::worker(names), &changes, how).await?;
    changes.push(consumer(&events, &names.worker_consumer(), action));
    let action = own_consumer(context, &told, assets::watch(names), &changes, how).await?;
    changes.push(consumer(&told, &names.advisory_consumer(), action));
    changes.extend(webhooks(context, names, how).await?);
    if !how.without_source {
        changes.push(ensure_ingest_consumer(context, names, how.dry_run).await?);
    }
    Ok(changes)
}

/// Makes our consumer on the source stream, unless somebody else reads the same messages.
///
/// A source stream that is not there is not an error: Mender makes it when it first starts.
pub async fn ensure_ingest_consumer(
    context: &Context,
    names: &Names,
    dry_run: bool,
) -> Result<Change> {
    let stream = names.source_stream();
    let action = match context.get_stream(stream).await {
        Ok(_) => {
            refuse_overlap(context, names).await?;
            let consumer = assets::ingest(names);
            ensure_consumer(context, stream, consumer, dry_run).await?
        }
        Err(error) if is_missing(&error) => Action::Waiting,
        Err(error) => return Err(failed("failed to look at the source stream", &error)),
    };
    Ok(consumer(stream, &names.ingest_consumer(), action))
}

/// The consumers of the webhooks there are: lost together with the outcomes, they begin anew.
async fn webhooks(context: &Context, names: &Names, how: Setup) -> Result<Vec<Change>> {
    let kept = match KvIntegrations::open_webhooks(context, names).await {
        Ok(kept) => kept,
        // A dry run has not made the bucket.
        Err(Error::Missing { .. }) if how.dry_run => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let tenants = kept.list().await;
    let tenants = tenants.map_err(|error| Error::Unavailable(error.to_string()))?;
    let stream = names.outcome_stream();
    let mut changes = Vec::new();
    for tenant in tenants {
        let action = Feed::ensure(context, names, &tenant, how.dry_run).await?;
        changes.push(consumer(&stream, &names.webhook_consumer(&tenant), action));
    }
    Ok(changes)
}

fn consumer(stream: &str, name: &str, action: Action) -> Change {
    Change {
        kind: "consumer",
        name: format!("{stream}/{name}"),
        action,
    }
}

/// A consumer of a stream of ours, which a dry run may have left unmade.
async fn own_consumer(
    context: &Context,
    stream: &str,
    apply: impl Fn(&mut pull::Config),
    before: &[Change],
    how: Setup,
) -> Result<Action> {
    let made = |change: &Change| change.name == stream && change.action == Action::Created;
    if how.dry_run && before.iter().any(made) {
        return Ok(Action::Created);
    }
    ensure_consumer(context, stream, apply, how.dry_run).await
}

async fn ensure_stream(context: &Context, asset: &Asset, how: Setup) -> Result<Action> {
    let name = &asset.stream;
    let trouble = |error: &(dyn std::error::Error + 'static)| {
        failed(&format!("{} {}", asset.kind, asset.shown), error)
    };
    let found = match context.get_stream(name).await {
        Ok(found) => found.cached_info().config.clone(),
        Err(error) if is_missing(&error) => {
            if !how.dry_run {
                let mut config = stream::Config {
                    name: name.clone(),
                    num_replicas: how.replicas.unwrap_or(1),
                    ..stream::Config::default()
                };
                (asset.apply)(&mut config);
                let made = context.create_stream(config).await;
                made.map_err(|error| trouble(&error))?;
            }
            return Ok(Action::Created);
        }
        Err(error) => return Err(trouble(&error)),
    };
    let mut wanted = found.clone();
    (asset.apply)(&mut wanted);
    if let Some(replicas) = how.replicas {
        wanted.num_replicas = replicas;
    }
    if wanted == found {
        return Ok(Action::Unchanged);
    }
    let differences = differences(&json!(found), &json!(wanted));
    if !how.dry_run {
        let updated = context.update_stream(&wanted).await;
        updated.map_err(|error| trouble(&error))?;
    }
    Ok(Action::Changed(differences))
}

pub(crate) async fn ensure_consumer(
    context: &Context,
    stream: &str,
    apply: impl Fn(&mut pull::Config),
    dry_run: bool,
) -> Result<Action> {
    let mut fresh = pull::Config::default();
    apply(&mut fresh);
    let name = fresh.durable_name.clone().unwrap_or_default();
    let trouble = |error: &(dyn std::error::Error + 'static)| {
        failed(&format!("consumer {name} of stream {stream}"), error)
    };
    let found = context
        .get_consumer_from_stream::<pull::Config, _, _>(&name, stream)
        .await;
    let (wanted, action) = match found {
        Err(error) if is_missing(&error) => (fresh, Action::Created),
        Err(error) => return Err(trouble(&error)),
        Ok(found) => {
            let found = found.cached_info().config.clone();
            let mut wanted = pull_config(found.clone()).map_err(|error| trouble(&*error))?;
            let before = json!(wanted);
            apply(&mut wanted);
            let differences = differences(&before, &json!(wanted));
            if differences.is_empty() {
                return Ok(Action::Unchanged);
            }
            (wanted, Action::Changed(differences))
        }
    };
    if !dry_run {
        let made = context.create_consumer_on_stream(wanted, stream).await;
        made.map_err(|error| trouble(&error))?;
    }
    Ok(action)
}

fn pull_config(
    config: async_nats::jetstream::consumer::Config,
) -> std::result::Result<pull::Config, async_nats::Error> {
    async_nats::jetstream::consumer::FromConsumer::try_from_consumer_config(config)
}

/// The names of settings that differ, each with both values.
fn differences(found: &Value, wanted: &Value) -> Vec<String> {
    let (Value::Object(found), Value::Object(wanted)) = (found, wanted) else {
        return Vec::new();
    };
    let keys: std::collections::BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    let shown =
        |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    keys.into_iter()
        .map(|key| (key, found.get(key), wanted.get(key)))
        .filter(|(_, found, wanted)| found != wanted)
        .map(|(key, found, wanted)| format!("{key}: {} -> {}", shown(found), shown(wanted)))
        .collect()
}

/// Consumers of a stream, only as far as we need to know them: the server may describe its own
/// (those of streams that source from this one) in words the client library does not know.
#[derive(Deserialize)]
struct ConsumerList {
    error: Option<async_nats::jetstream::Error>,
    #[serde(default)]
    total: usize,
    #[serde(default)]
    consumers: Vec<OtherConsumer>,
}

#[derive(Deserialize)]
struct OtherConsumer {
    name: String,
    config: Filters,
}

#[derive(Deserialize)]
struct Filters {
    #[serde(default)]
    filter_subject: String,
    #[serde(default)]
    filter_subjects: Vec<String>,
}

impl Filters {
    /// The first filter that overlaps with ours; no filter means everything.
    fn overlapping(&self, ours: &str) -> Option<String> {
        let one = Some(&self.filter_subject).filter(|filter| !filter.is_empty());
        let all: Vec<&String> = one.into_iter().chain(&self.filter_subjects).collect();
        if all.is_empty() {
            return Some(">".to_owned());
        }
        all.into_iter()
            .find(|filter| overlap(filter, ours))
            .cloned()
    }
}

/// The server itself refuses a second consumer of a work queue, but not one that a sourcing
/// stream has made: both would get every message.
async fn refuse_overlap(context: &Context, names: &Names) -> Result<()> {
    let stream = names.source_stream();
    let mut seen = 0;
    loop {
        let list: ConsumerList = context
            .request(format!("CONSUMER.LIST.{stream}"), &json!({"offset": seen}))
            .await
            .map_err(|error| failed("failed to list the source stream's consumers", &error))?;
        if let Some(error) = list.error {
            return Err(failed(
                "failed to list the source stream's consumers",
                &error,
            ));
        }
        seen += list.consumers.len();
        let done = list.consumers.is_empty() || seen >= list.total;
        for other in list.consumers {
            if other.name == names.ingest_consumer() {
                continue;
            }
            if let Some(filter) = other.config.overlapping(names.source_filter()) {
                return Err(Error::Overlap {
                    stream: stream.to_owned(),
                    consumer: other.name,
                    filter,
                });
            }
        }
        if done {
            return Ok(());
        }
    }
}

/// Whether an answer says that the stream or consumer does not exist.
pub(crate) fn is_missing(error: &(dyn std::error::Error + 'static)) -> bool {
    api_error(error).is_some_and(|api| {
        [ErrorCode::STREAM_NOT_FOUND, ErrorCode::CONSUMER_NOT_FOUND].contains(&api.error_code())
    })
}

/// An answer of the JetStream API is a refusal; anything else may work later.
fn failed(what: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    match api_error(error) {
        Some(api) => Error::Refused(format!("{what}: {api}")),
        None => Error::unavailable(what, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_without_a_filter_overlaps_with_everything() {
        let none = Filters {
            filter_subject: String::new(),
            filter_subjects: Vec::new(),
        };
        assert_eq!(none.overlapping("W.lifecycle.>"), Some(">".to_owned()));
        let other = Filters {
            filter_subject: String::new(),
            filter_subjects: vec!["W.default".to_owned(), "W.*.device".to_owned()],
        };
        assert_eq!(
            other.overlapping("W.lifecycle.>").as_deref(),
            Some("W.*.device")
        );
        assert_eq!(other.overlapping("W.generate"), None);
    }

    #[test]
    fn differences_name_both_values() {
        let found = json!({"a": 1, "b": 2});
        assert_eq!(
            differences(&found, &json!({"a": 1, "b": 3, "c": "x"})),
            ["b: 2 -> 3", "c: nothing -> \"x\""]
        );
    }
}
