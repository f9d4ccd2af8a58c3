//! Opens what `setup` has made, and says so plainly if it has not.

use async_nats::jetstream::{Context, consumer::PullConsumer, kv, stream::Stream};

use crate::{Error, Result, error::api_error, setup::is_missing};

type StdError = dyn std::error::Error + 'static;

pub(crate) async fn bucket(context: &Context, name: &str) -> Result<kv::Store> {
    let opened = context.get_key_value(name).await;
    opened.map_err(|error| sort("bucket", name, &error))
}

pub(crate) async fn stream(context: &Context, name: &str) -> Result<Stream> {
    let opened = context.get_stream(name).await;
    opened.map_err(|error| sort("stream", name, &error))
}

pub(crate) async fn consumer(context: &Context, stream: &str, name: &str) -> Result<PullConsumer> {
    let opened = context.get_consumer_from_stream(name, stream).await;
    opened.map_err(|error| sort("consumer", &format!("{stream}/{name}"), &error))
}

fn sort(kind: &'static str, name: &str, error: &StdError) -> Error {
    if is_missing(error) {
        return Error::Missing {
            kind,
            name: name.to_owned(),
        };
    }
    match api_error(error) {
        Some(api) => Error::Refused(format!("failed to open {kind} {name}: {api}")),
        None => Error::unavailable(&format!("failed to open {kind} {name}"), error),
    }
}
