//! What a connected device has asked to be told, and for how long the hub remembers that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a device can ask to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Channel {
    /// Calls of direct methods.
    Methods,
    /// Answers to its own requests about its twin.
    TwinAnswers,
    /// Changes of its desired properties.
    Desired,
    /// Messages from the cloud, which are never sent, as sending them is AMQP.
    Messages,
}

/// How surely messages arrive: MQTT's quality of service, of which IoT Hub has the lower two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Quality {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce,
}

/// The subscriptions of a device or module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    clean: bool,
    channels: BTreeMap<Channel, Quality>,
}

impl Session {
    /// One without any subscription; a clean one ends with its connection.
    pub(crate) const fn new(clean: bool) -> Self {
        Self {
            clean,
            channels: BTreeMap::new(),
        }
    }

    /// Whether the hub forgets it when the connection ends.
    pub(crate) const fn ends_with_connection(&self) -> bool {
        self.clean
    }

    /// Subscribes, or changes the quality; without one, unsubscribes.
    pub(crate) fn set(&mut self, channel: Channel, quality: Option<Quality>) {
        match quality {
            Some(quality) => self.channels.insert(channel, quality),
            None => self.channels.remove(&channel),
        };
    }

    /// The quality it is told things in; `None` if it is not.
    pub(crate) fn qos(&self, channel: Channel) -> Option<Quality> {
        self.channels.get(&channel).copied()
    }
}
