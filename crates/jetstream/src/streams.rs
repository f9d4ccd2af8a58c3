//! Where wake-ups, outcomes and dead letters go.
//!
//! Each call returns once the server has stored the message, and each may be repeated: a wake-up
//! replaces the one before it, an outcome has a name, and a dead letter is created once (see
//! [`crate::letters`]).

use async_nats::{
    HeaderMap,
    jetstream::{Context, stream::Stream},
};
use futures::future::try_join_all;
use lifecycle::{DeviceRef, Done, Event, Timestamp};
use messages::{AuditMessage, OutcomeMessage, header};
use reconciler::ports::{DeadLetter, Payload, PortResult, Streams};
use reconciler::sweep::Notices;

use crate::{
    Error, Names, Result,
    headers::{MESSAGE_ID, OUTCOME, SCHEDULE, SCHEDULE_TARGET, append},
    letters, open,
    publish::{Stored, publish},
};

/// The streams of the reconciler.
#[derive(Debug, Clone)]
pub struct NatsStreams {
    pub(crate) context: Context,
    pub(crate) names: Names,
    pub(crate) dead_letters: Stream,
    outcomes: Stream,
}

impl NatsStreams {
    /// Opens the streams that `setup` has made.
    pub async fn open(context: &Context, names: &Names) -> Result<Self> {
        open::stream(context, &names.events_stream()).await?;
        let outcomes = open::stream(context, &names.outcome_stream()).await?;
        let (subjects, audit) = (
            &outcomes.cached_info().config.subjects,
            names.audit_filter(),
        );
        if !subjects.contains(&audit) {
            // Made by an earlier version: without it no edit could be recorded, so none be done.
            return Err(Error::Missing {
                kind: "subject",
                name: audit,
            });
        }
        Ok(Self {
            context: context.clone(),
            names: names.clone(),
            dead_letters: open::stream(context, &names.dead_letter_stream()).await?,
            outcomes,
        })
    }

    /// Stores a record of the audit log.
    pub async fn audit(&self, record: &AuditMessage) -> Result<()> {
        let (tenant, device) = (&record.tenant_id, record.device_id.as_deref());
        let subject = self.names.audit_subject(tenant, device);
        let body = record.to_body().into();
        publish(&self.context, subject, HeaderMap::new(), body).await?;
        Ok(())
    }

    /// Publishes an outcome. Within the stream's window the first one of an event stands: a worker
    /// that died before its ack leaves the event to another one, which may find it superseded.
    async fn report_one(&self, message: &OutcomeMessage) -> Result<Stored> {
        let known = |id: &Option<String>| letters::known(id.as_deref()).map(str::to_owned);
        let (tenant, device) = (known(&message.tenant_id), known(&message.device_id));
        let subject = self
            .names
            .outcome_subject(tenant.as_deref(), device.as_deref());
        let outcome = message.outcome.name();
        let mut headers = HeaderMap::new();
        let name = format!("outcome:{}:{}", message.event_id, message.replay);
        append(&mut headers, MESSAGE_ID, &header::safe(&name));
        append(
            &mut headers,
            header::EVENT_ID,
            &header::safe(&message.event_id),
        );
        append(&mut headers, OUTCOME, outcome);
        publish(&self.context, subject, headers, message.to_body().into()).await
    }

    /// Publishes the outcome of a message that is given up. False if its event had ended before, in
    /// another way: only its acknowledgement was lost, again and again.
    pub(crate) async fn end(&self, message: &OutcomeMessage) -> Result<bool> {
        let stored = self.report_one(message).await?;
        if !stored.repeated {
            return Ok(true);
        }
        // Who cannot tell keeps the dead letter: one too many does no harm.
        let first = self.outcomes.direct_get(stored.sequence).await.ok();
        let first = first.and_then(|first| first.headers.get(OUTCOME).map(ToString::to_string));
        Ok(first.is_none_or(|first| first == message.outcome.name()))
    }
}

impl Streams for NatsStreams {
    async fn arm(
        &self,
        device: &DeviceRef,
        due: Timestamp,
        carrying: Option<&Payload>,
    ) -> PortResult<()> {
        let mut headers = HeaderMap::new();
        let body = carrying.map_or_else(Vec::new, |payload| {
            copy_headers(&mut headers, payload);
            append_since(&mut headers, payload);
            payload.body.clone()
        });
        append(&mut headers, header::WAKE_UP, "1");
        append(&mut headers, SCHEDULE, &at(due));
        append(
            &mut headers,
            SCHEDULE_TARGET,
            &self.names.event_subject(device),
        );
        let subject = self.names.retry_subject(device);
        publish(&self.context, subject, headers, body.into()).await?;
        Ok(())
    }

    fn payload(&self, event: &Event) -> Payload {
        let mut headers = vec![(header::EVENT_ID.to_owned(), event.id.0.clone())];
        if event.replay > 0 {
            headers.push((header::REPLAY.to_owned(), event.replay.to_string()));
        }
        Payload {
            subject: self.names.event_subject(&event.about),
            body: messages::to_body(event),
            headers,
            since: None,
        }
    }

    async fn dead_letter(&self, letter: &DeadLetter) -> PortResult<()> {
        Ok(letters::send(self, letter).await?)
    }

    async fn report(&self, ended: &[Done]) -> PortResult<()> {
        let messages: Vec<OutcomeMessage> = ended.iter().map(OutcomeMessage::from).collect();
        try_join_all(messages.iter().map(|message| self.report_one(message))).await?;
        Ok(())
    }
}

impl Notices for NatsStreams {
    async fn publish(&self, event: &Event) -> PortResult<()> {
        let payload = Streams::payload(self, event);
        let mut headers = HeaderMap::new();
        copy_headers(&mut headers, &payload);
        append(&mut headers, MESSAGE_ID, &header::safe(&event.id.0));
        publish(&self.context, payload.subject, headers, payload.body.into()).await?;
        Ok(())
    }
}

/// Copies the headers of an event, so that the copy is known as the same event.
pub(crate) fn copy_headers(headers: &mut HeaderMap, payload: &Payload) {
    for (name, value) in &payload.headers {
        if name != header::WAKE_UP && !crate::headers::is_servers(name) {
            append(headers, name, value);
        }
    }
}

/// Says when the event was first stored, for the copies of its message that do not tell.
pub(crate) fn append_since(headers: &mut HeaderMap, payload: &Payload) {
    if let Some(since) = payload.since {
        append(headers, header::SINCE_US, &since.as_micros().to_string());
    }
}

/// The value of [`SCHEDULE`] for one time. The server publishes at once what is due already.
pub(crate) fn at(due: Timestamp) -> String {
    let time = jiff::Timestamp::from_microsecond(due.as_micros());
    let time = time.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("@at {time}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_written_as_rfc_3339() {
        assert_eq!(
            at(Timestamp::from_micros(1_234_567)),
            "@at 1970-01-01T00:00:01.234567Z"
        );
        assert_eq!(at(Timestamp::from_micros(0)), "@at 1970-01-01T00:00:00Z");
    }
}
