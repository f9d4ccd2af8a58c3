//! The talk with a device that is in: its packets, and what others have for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mqtt_proto::v3::{
    Connack, ConnectReturnCode, LastWill, Packet, Publish, Suback, Subscribe, SubscribeReturnCode,
    Unsubscribe,
};
use mqtt_proto::{Pid, QoS, QosPid, TopicName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::end::End;
use super::topics::{self, Asked};
use super::wire::{Broken, Wire};
use super::{notes, requests};
use crate::hub::Hub;
use crate::operation::Operation;
use crate::registry::{LineId, Registry, Target};
use crate::session::{Channel, Quality};
use crate::switchboard::Push;

/// Calls that may wait for the device's answer before the list is tidied up.
const CALLS: usize = 1_000;

/// The talk with one device.
pub(super) struct Talk<'a, S> {
    hub: &'a Arc<Hub>,
    wire: &'a mut Wire<S>,
    who: Target,
    line: LineId,
    /// The calls of methods that wait for an answer, by their request ids.
    calls: HashMap<String, oneshot::Sender<(i32, Value)>>,
    last_call: u64,
    last_pid: Pid,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Talk<'a, S> {
    /// The talk over a line that has just been let in.
    pub(super) fn new(hub: &'a Arc<Hub>, wire: &'a mut Wire<S>, who: Target, line: LineId) -> Self {
        Self {
            hub,
            wire,
            who,
            line,
            calls: HashMap::new(),
            last_call: 0,
            last_pid: Pid::default(),
        }
    }

    /// Answers the CONNECT, then everything else as it comes.
    pub(super) async fn go_on(
        &mut self,
        pushes: &mut mpsc::Receiver<Push>,
        session_present: bool,
        silence: Duration,
    ) -> End {
        if self.hub.durable().await.is_err() {
            return End::Broken(Broken::Closed);
        }
        let welcome = Connack::new(session_present, ConnectReturnCode::Accepted);
        if let Err(broken) = self.wire.send(welcome).await {
            return broken.into();
        }
        let mut silent_at = Instant::now() + silence;
        loop {
            let done = tokio::select! {
                packet = self.wire.next() => {
                    silent_at = Instant::now() + silence;
                    match packet {
                        Ok(packet) => self.take(packet).await,
                        Err(broken) => Err(broken.into()),
                    }
                }
                Some(push) = pushes.recv() => self.pass_on(push).await,
                () = sleep_until(silent_at) => Err(End::Silent),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn take(&mut self, packet: Packet) -> Result<(), End> {
        match packet {
            Packet::Publish(publish) => self.published(publish).await,
            Packet::Subscribe(subscribe) => self.subscribed(subscribe).await,
            Packet::Unsubscribe(unsubscribe) => self.unsubscribed(unsubscribe).await,
            Packet::Pingreq => Ok(self.wire.send(Packet::Pingresp).await?),
            // What is sent is never sent again, so there is nothing to forget.
            Packet::Puback(_) => Ok(()),
            Packet::Disconnect => Err(End::Left),
            _ => Err(End::Violation),
        }
    }

    async fn published(&mut self, publish: Publish) -> Result<(), End> {
        let asked = topics::asked(&publish.topic_name, &self.who).ok_or(End::Violation)?;
        match publish.qos_pid {
            QosPid::Level0 => {}
            QosPid::Level1(pid) => self.wire.send(Packet::Puback(pid)).await?,
            // The service closes on it.
            QosPid::Level2(_) => return Err(End::Violation),
        }
        let place = (&self.who, self.line);
        let (id, answer) = match asked {
            Asked::TwinGet(id) => (id, requests::read_twin(self.hub, place).await),
            Asked::Report(id) => {
                let answer = requests::report(self.hub, place, &publish.payload).await;
                (id, answer)
            }
            Asked::MethodAnswer(status, id) => {
                self.answered(&id, status, &publish.payload);
                return Ok(());
            }
            Asked::Message => {
                requests::message(self.hub, place, "");
                return Ok(());
            }
        };
        let topic = topics::twin_answer(answer.status, &id, answer.version);
        self.tell(Channel::TwinAnswers, &topic, answer.body.into())
            .await
    }

    async fn subscribed(&mut self, subscribe: Subscribe) -> Result<(), End> {
        let mut codes = vec![];
        for (filter, qos) in &subscribe.topics {
            let quality = match qos {
                QoS::Level0 => Quality::AtMostOnce,
                // The service grants no more.
                QoS::Level1 | QoS::Level2 => Quality::AtLeastOnce,
            };
            let channel = topics::channel(filter, &self.who);
            codes.push(match channel {
                Some(channel) => {
                    self.set(channel, Some(quality))?;
                    SubscribeReturnCode::from(level(quality))
                }
                None => SubscribeReturnCode::Failure,
            });
        }
        self.hub.connections.notify_waiters();
        Ok(self.wire.send(Suback::new(subscribe.pid, codes)).await?)
    }

    async fn unsubscribed(&mut self, unsubscribe: Unsubscribe) -> Result<(), End> {
        for filter in &unsubscribe.topics {
            if let Some(channel) = topics::channel(filter, &self.who) {
                self.set(channel, None)?;
            }
        }
        Ok(self.wire.send(Packet::Unsuback(unsubscribe.pid)).await?)
    }

    fn set(&self, channel: Channel, quality: Option<Quality>) -> Result<(), End> {
        let set =
            |registry: &mut Registry, _| registry.subscribe(&self.who, self.line, channel, quality);
        // It fails only for a line that is being cut.
        self.hub.with_registry(set).map_err(|_| End::Violation)
    }

    async fn pass_on(&mut self, push: Push) -> Result<(), End> {
        match push {
            Push::Desired(patch) => {
                let version = patch.get("$version").map(ToString::to_string);
                let topic = topics::desired(&version.unwrap_or_default());
                let kind = ("PUBLISH", Operation::DeviceDesired);
                let entry = notes::entry(self.hub, kind, &self.who, "");
                let body = Value::Object(patch).to_string();
                self.tell(Channel::Desired, &topic, body.into()).await?;
                self.hub
                    .journal
                    .open(notes::done(self.hub, entry, 200, false));
                Ok(())
            }
            Push::Call {
                name,
                payload,
                answer,
            } => self.call(&name, &payload, answer).await,
        }
    }

    async fn call(
        &mut self,
        name: &str,
        payload: &Value,
        answer: oneshot::Sender<(i32, Value)>,
    ) -> Result<(), End> {
        if self.calls.len() >= CALLS {
            self.calls.retain(|_, waiting| !waiting.is_closed());
        }
        self.last_call += 1;
        let topic = topics::method(name, self.last_call);
        self.calls.insert(format!("{:x}", self.last_call), answer);
        self.tell(Channel::Methods, &topic, payload.to_string().into())
            .await
    }

    /// Passes the answer to a method on, if anybody still waits for it.
    fn answered(&mut self, id: &str, status: i32, payload: &[u8]) {
        let detail = format!("status={status}");
        let kind = ("PUBLISH", Operation::DeviceMethod);
        let entry = notes::entry(self.hub, kind, &self.who, &detail);
        let answered = requests::method_answer(payload).is_some_and(|payload| {
            let waiting = self.calls.remove(id);
            waiting.is_some_and(|it| it.send((status, payload)).is_ok())
        });
        let code = if answered { 200 } else { 404 };
        self.hub
            .journal
            .open(notes::done(self.hub, entry, code, answered));
    }

    /// Publishes to the device, if it has asked for such things.
    async fn tell(&mut self, channel: Channel, topic: &str, body: Bytes) -> Result<(), End> {
        let look = |registry: &mut Registry, _| registry.subscribed(&self.who, channel);
        let Some(quality) = self.hub.with_registry(look) else {
            debug!(who = ?self.who, ?channel, "it has not subscribed to that");
            return Ok(());
        };
        let qos_pid = match quality {
            Quality::AtMostOnce => QosPid::Level0,
            Quality::AtLeastOnce => {
                self.last_pid += 1;
                QosPid::Level1(self.last_pid)
            }
        };
        // Request ids come out of a topic and method names have no wildcards, so this is one.
        let topic = TopicName::try_from(topic).map_err(|_| End::Violation)?;
        Ok(self.wire.send(Publish::new(qos_pid, topic, body)).await?)
    }

    /// Sends the message a device has left for the case that it is lost.
    pub(super) fn will(&self, will: Option<&LastWill>) {
        let asked = will.and_then(|it| topics::asked(&it.topic_name, &self.who));
        if asked == Some(Asked::Message) {
            requests::message(self.hub, (&self.who, self.line), "will");
        }
    }
}

fn level(quality: Quality) -> QoS {
    match quality {
        Quality::AtMostOnce => QoS::Level0,
        Quality::AtLeastOnce => QoS::Level1,
    }
}
