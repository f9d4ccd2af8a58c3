//! Whether a key is anywhere where no key may be: in the workers' logs, in the streams, in the
//! buckets.
//!
//! Keys are base64 text. What is searched is cut into words of that alphabet, once as it stands and
//! once with its percent-encoding undone, and the words are looked up: a log of many megabytes
//! against hundreds of keys takes no time.

use std::{collections::HashSet, fs};

use anyhow::Result;
use async_nats::jetstream::{Context, stream::DirectGetErrorKind};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{Stage, stage::EVENTS};
use crate::ledger::Reader;

const STREAMS: [&str; 5] = [
    "IOTHUB_DLQ",
    "IOTHUB_OUTCOMES",
    "IOTHUB_ADVISORIES",
    "KV_iothub_devices",
    "KV_iothub_integrations",
];

/// The keys of the hub and of every device that has an identity, without padding.
#[derive(Debug, Default)]
pub(super) struct Secrets(HashSet<String>);

impl Secrets {
    /// Adds all keys that there are now.
    pub(super) async fn collect(&mut self, stage: &Stage) -> Result<()> {
        for text in &stage.connection_strings {
            self.add(text.rsplit_once("SharedAccessKey=").map(|(_, key)| key));
        }
        for device in stage.hub.devices_with_keys().await? {
            for key in ["primaryKey", "secondaryKey"] {
                let place = format!("/authentication/symmetricKey/{key}");
                self.add(device.pointer(&place).and_then(Value::as_str));
            }
        }
        Ok(())
    }

    fn add(&mut self, key: Option<&str>) {
        let key = key.map(|key| key.trim_end_matches('=').to_owned());
        self.0.extend(key.filter(|key| !key.is_empty()));
    }

    /// The places that hold one of them.
    pub(super) async fn leaks(&self, stage: &Stage) -> Result<Vec<String>> {
        let mut leaks = Vec::new();
        for installation in &stage.installations {
            for name in ["mender-iothub.log", "mender-iothub.out"] {
                let path = installation.config().with_file_name(name);
                let text = fs::read(&path)?;
                if self.is_in(&String::from_utf8_lossy(&text)) {
                    leaks.push(path.display().to_string());
                }
            }
        }
        let context = stage.bus.jetstream().await?;
        for stream in STREAMS {
            for message in Reader::open(&context, stream).await?.rest().await? {
                let headers = message.headers.as_ref();
                let headers = headers.map(|it| format!("{it:?}")).unwrap_or_default();
                let body = String::from_utf8_lossy(&message.payload).into_owned();
                if self.is_in(&body) || self.is_in(&headers) || self.is_in(&message.subject) {
                    leaks.push(format!("{stream} {}", message.subject));
                }
            }
        }
        leaks.extend(self.leaks_in_queue(&context).await?);
        Ok(leaks)
    }

    /// The same for the events: a work queue has no room for a second reader, so they are asked for
    /// one by one. At rest there are few: wake-ups.
    async fn leaks_in_queue(&self, context: &Context) -> Result<Vec<String>> {
        let stream = context.get_stream(EVENTS).await?;
        let mut leaks = Vec::new();
        let mut place = 1;
        loop {
            let next = stream.direct_get_next_for_subject(">", Some(place)).await;
            let message = match next {
                Ok(message) => message,
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => return Ok(leaks),
                Err(error) => return Err(error.into()),
            };
            let text = String::from_utf8_lossy(&message.payload);
            if self.is_in(&text) || self.is_in(&format!("{:?}", message.headers)) {
                leaks.push(format!("{EVENTS} {}", message.subject));
            }
            place = message.sequence + 1;
        }
    }

    fn is_in(&self, text: &str) -> bool {
        self.is_word_of(text) || self.is_word_of(&percent_decode_str(text).decode_utf8_lossy())
    }

    fn is_word_of(&self, text: &str) -> bool {
        let part_of_key = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
        let mut words = text.split(|c| !part_of_key(c));
        words.any(|word| self.0.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_however_it_stands_there() {
        let mut secrets = Secrets::default();
        secrets.add(Some("ab+/cd=="));
        for text in [
            "ab+/cd==",
            "DeviceId=d;SharedAccessKey=ab+/cd==",
            r#"{"key":"ab+/cd"}"#,
            "sr=x&key=ab%2B%2Fcd%3D%3D&se=1",
        ] {
            assert!(secrets.is_in(text), "{text}");
        }
        for text in ["ab+/cde", "ab cd", ""] {
            assert!(!secrets.is_in(text), "{text}");
        }
    }
}
