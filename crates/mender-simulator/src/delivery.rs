//! How the events of one control call reach the stream: at once or held back, once or several
//! times, in order or shuffled.

use serde::{Deserialize, Serialize};

use crate::control_errors::ControlError;
use crate::shuffle::shuffle;
use crate::simulator::Simulator;
use crate::workflows::Message;

/// Most copies of a message that one call may ask for.
pub(crate) const MAX_DUPLICATE: usize = 100;

/// What a control call says about the delivery of its events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Delivery {
    /// How often each message is published once more.
    pub(crate) duplicate: usize,
    /// Seed of the order; without one the order is that of the changes.
    pub(crate) shuffle_seed: Option<u64>,
    /// Keep the messages until they are released.
    pub(crate) hold: bool,
    /// Say nothing: the server died before it could publish.
    pub(crate) lose: bool,
}

/// What became of the events of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// Events now in the stream.
    pub(crate) published: u64,
    /// Messages now in the stream.
    pub(crate) messages: u64,
    /// Messages held back by this call.
    pub(crate) held: usize,
}

impl Delivery {
    fn arrange(self, messages: Vec<Message>) -> Vec<Message> {
        let copies = self.duplicate + 1;
        let repeat = |message: Message| std::iter::repeat_n(message, copies);
        let mut messages: Vec<_> = messages.into_iter().flat_map(repeat).collect();
        if let Some(seed) = self.shuffle_seed {
            shuffle(&mut messages, seed);
        }
        messages
    }
}

/// Publishes messages, or keeps them if the delivery says so.
pub(crate) async fn deliver(
    simulator: &Simulator,
    messages: Vec<Message>,
    delivery: Delivery,
) -> Result<Report, ControlError> {
    if delivery.lose {
        finish(simulator, &messages);
        return Ok(Report::default());
    }
    let messages = delivery.arrange(messages);
    if delivery.hold {
        let held = messages.len();
        simulator.held().extend(messages);
        return Ok(Report {
            held,
            ..Report::default()
        });
    }
    publish(simulator, &messages).await
}

/// Publishes what is held, in an order that depends on the seed if there is one.
pub(crate) async fn release(
    simulator: &Simulator,
    shuffle_seed: Option<u64>,
) -> Result<Report, ControlError> {
    let delivery = Delivery {
        shuffle_seed,
        ..Delivery::default()
    };
    let held = std::mem::take(&mut *simulator.held());
    publish(simulator, &delivery.arrange(held)).await
}

/// The device goes last, as in Mender's workflow.
fn finish(simulator: &Simulator, messages: &[Message]) {
    for key in messages
        .iter()
        .filter_map(|message| message.finishes.as_ref())
    {
        simulator.fleet().remove(key);
        simulator.configurations().remove(key);
    }
}

async fn publish(simulator: &Simulator, messages: &[Message]) -> Result<Report, ControlError> {
    let published = simulator.publisher.publish(messages).await;
    finish(simulator, messages);
    let published = published.map_err(|error| ControlError::Unpublishable(error.to_string()))?;
    Ok(Report {
        published: published.events,
        messages: published.messages,
        held: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflows::raw;

    fn arranged(delivery: Delivery) -> Vec<u8> {
        let messages = (0..20).map(|byte| raw("s", vec![byte], None)).collect();
        let arranged = delivery.arrange(messages);
        arranged.iter().map(|message| message.body[0]).collect()
    }

    #[test]
    fn copies_follow_their_message() {
        let delivery = Delivery {
            duplicate: 2,
            ..Delivery::default()
        };
        assert_eq!(arranged(delivery)[..4], [0, 0, 0, 1]);
    }

    #[test]
    fn a_seed_shuffles_copies_too() {
        let delivery = Delivery {
            duplicate: 1,
            shuffle_seed: Some(3),
            hold: false,
            lose: false,
        };
        let mut order = arranged(delivery);
        assert_eq!(order, arranged(delivery));
        assert!(!order.is_sorted());
        order.sort_unstable();
        let expected: Vec<u8> = (0..20).flat_map(|byte| [byte, byte]).collect();
        assert_eq!(order, expected);
    }
}
