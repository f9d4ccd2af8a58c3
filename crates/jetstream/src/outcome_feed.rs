//! Outcomes from one place in their stream on, as they come.

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures::StreamExt as _;
use messages::OutcomeMessage;

use crate::{Error, Outcomes, Result};

/// Outcomes as they come. It never ends by itself.
pub struct OutcomeFeed {
    messages: Box<pull::Ordered>,
}

impl Outcomes {
    /// The place that [`Outcomes::feed`] goes on from, to hear of all that ends from now on.
    pub async fn place(&self) -> Result<u64> {
        let info = self.stream.get_info().await;
        let info = info.map_err(|error| Error::unavailable("outcomes", &error))?;
        Ok(info.state.last_sequence + 1)
    }

    /// All outcomes from a place on.
    pub async fn feed(&self, place: u64) -> Result<OutcomeFeed> {
        let consumer = self.stream.create_consumer(pull::OrderedConfig {
            filter_subject: self.names.outcome_filter(None, None),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: place,
            },
            ..pull::OrderedConfig::default()
        });
        let trouble = |error: &dyn std::error::Error| Error::unavailable("outcomes", error);
        let consumer = consumer.await.map_err(|error| trouble(&error))?;
        let messages = consumer.messages().await.map_err(|error| trouble(&error))?;
        Ok(OutcomeFeed {
            messages: Box::new(messages),
        })
    }
}

impl OutcomeFeed {
    /// The next outcome, whenever that comes. What cannot be read is passed over.
    pub async fn next(&mut self) -> Result<OutcomeMessage> {
        loop {
            let message = match self.messages.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(Error::unavailable("outcomes", &error)),
                None => return Err(Error::Unavailable("outcomes ended".to_owned())),
            };
            if let Ok(outcome) = OutcomeMessage::parse(&message.payload) {
                return Ok(outcome);
            }
        }
    }
}
