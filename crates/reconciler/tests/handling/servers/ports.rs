//! The ports, answered by the servers in memory.

use std::time::Duration;

use lifecycle::{
    DeviceRef, Done, Event, Facts, Failure, Fate, HubWrite, IntegrationRef, KeyChange, KeySlot,
    Keys, MenderView, Record, TenantId, Timestamp,
};
use reconciler::ports::{
    Ack, DeadLetter, DeviceStore, Hub, Hubs, Mender, Page, Payload, PortError, PortResult, Saved,
    Seen, Stored, Streams,
};

use super::{Servers, Trouble};

impl DeviceStore for Servers {
    async fn load(&self, _: &DeviceRef) -> PortResult<Option<Stored>> {
        self.meet("load").await?;
        let world = self.world();
        if world.not_understood {
            return Err(PortError::NotUnderstood("version 9".into()));
        }
        Ok(world.record.clone())
    }

    async fn create(&self, device: &DeviceRef, record: &Record) -> PortResult<Saved> {
        self.compare_and_set(device, record, 0).await
    }

    async fn compare_and_set(
        &self,
        _: &DeviceRef,
        record: &Record,
        version: u64,
    ) -> PortResult<Saved> {
        let trouble = self.meet("save").await?;
        let mut world = self.world();
        let now = self.now();
        if let (true, Some(stored)) = (trouble.raced, &mut world.record) {
            stored.version += 1;
            stored.written_at = now;
        }
        let present = world.record.as_ref().map_or(0, |stored| stored.version);
        if present != version {
            return Ok(Saved::Lost);
        }
        world.record = Some(Stored {
            record: record.clone(),
            version: version + 1,
            written_at: now,
        });
        match trouble.after {
            Some(text) => Err(PortError::Unavailable(text.to_owned())),
            None => Ok(Saved::Version(version + 1)),
        }
    }

    async fn delete(&self, _: &DeviceRef, _: u64) -> PortResult<Saved> {
        unreachable!("handling a message never deletes a record")
    }

    async fn list(&self, _: Option<&TenantId>, _: Option<&str>, _: usize) -> PortResult<Page> {
        unreachable!("handling a message never lists records")
    }

    async fn count(&self, _: Option<&TenantId>) -> PortResult<u64> {
        unreachable!("handling a message never counts records")
    }
}

/// The hub as one configuration of the integration reaches it.
pub(crate) struct OneHub(Servers, IntegrationRef);

impl Hubs for Servers {
    type Hub = OneHub;

    async fn hub(&self, _: &TenantId) -> PortResult<Option<OneHub>> {
        let generation = self.world().generation;
        let integration = IntegrationRef {
            id: "i".into(),
            hub: "h".into(),
            generation,
        };
        Ok(Some(OneHub(self.clone(), integration)))
    }
}

impl OneHub {
    async fn meet(&self, call: &'static str) -> Result<Trouble, (Failure, Fate)> {
        let trouble = self.0.enter(call);
        tokio::time::sleep(trouble.takes).await;
        trouble.failure.clone().map_or(Ok(trouble), Err)
    }

    fn seen(&self) -> Option<Seen<Option<Keys>>> {
        let facts = self.0.world().identity.clone()?;
        let identity = facts.keys.clone();
        Some(Seen { facts, identity })
    }
}

impl Hub for OneHub {
    type Identity = Option<Keys>;

    fn integration(&self) -> &IntegrationRef {
        &self.1
    }

    fn allowed_per_minute(&self) -> Option<u32> {
        None
    }

    async fn read(&self, _: &DeviceRef) -> Result<Option<Seen<Option<Keys>>>, Failure> {
        self.meet("hub read")
            .await
            .map_err(|(failure, _)| failure)?;
        Ok(self.seen())
    }

    async fn write(
        &self,
        _: &DeviceRef,
        request: &HubWrite,
        held: Option<&Option<Keys>>,
    ) -> Result<Option<Seen<Option<Keys>>>, (Failure, Fate)> {
        let call = match request {
            HubWrite::Create { .. } => "hub create",
            HubWrite::Update { .. } => "hub update",
            HubWrite::Keys { change, .. } => match change {
                KeyChange::RenewSecondary => "hub renew",
                KeyChange::Swap => "hub swap",
            },
            HubWrite::Delete { .. } => "hub delete",
        };
        let trouble = self.meet(call).await?;
        let mut world = self.0.world();
        world.etags += 1;
        let fresh = format!("e{}", world.etags);
        match (request, &mut world.identity) {
            (HubWrite::Create { mark, .. }, place @ None) => {
                *place = Some(Facts {
                    generation: format!("g-{fresh}"),
                    keys: Some(Keys {
                        primary: "k1".into(),
                        secondary: "k2".into(),
                    }),
                    etag: fresh,
                    enabled: true,
                    mark: Some(mark.clone()),
                });
            }
            (HubWrite::Update { etag, enable, .. }, Some(facts)) if *etag == facts.etag => {
                assert!(held.is_some(), "an update needs the whole identity");
                facts.enabled = *enable;
                facts.etag = fresh;
            }
            (HubWrite::Keys { etag, change, .. }, Some(facts)) if *etag == facts.etag => {
                assert!(held.is_some(), "an update needs the whole identity");
                let keys = facts.keys.as_mut().expect("keys");
                match change {
                    KeyChange::RenewSecondary => keys.secondary = format!("k of {fresh}"),
                    KeyChange::Swap => std::mem::swap(&mut keys.primary, &mut keys.secondary),
                }
                facts.etag = fresh;
            }
            (HubWrite::Delete { .. }, place) => *place = None,
            _ => return Err((Failure::Conflict, Fate::Done)),
        }
        drop(world);
        match trouble.after {
            Some(text) => Err((Failure::Transient(text.to_owned()), Fate::Unknown)),
            None => Ok(self.seen()),
        }
    }

    async fn tag(&self, _: &DeviceRef, _: &str) -> Result<(), Failure> {
        let met = self.meet("tag").await;
        met.map(drop).map_err(|(failure, _)| failure)
    }
}

impl Mender for Servers {
    type Identity = Option<Keys>;

    async fn deliver(
        &self,
        _: &DeviceRef,
        _: &IntegrationRef,
        identity: &Option<Keys>,
        key: KeySlot,
    ) -> Result<String, (Failure, Fate)> {
        let trouble = self.enter("deliver");
        tokio::time::sleep(trouble.takes).await;
        let print = match (identity.clone(), key) {
            (Some(keys), KeySlot::Primary) => keys.primary,
            (Some(keys), KeySlot::Secondary) => keys.secondary,
            (None, _) => "a key".to_owned(),
        };
        trouble.failure.map_or(Ok(print), Err)
    }

    async fn view(&self, _: &DeviceRef) -> Result<MenderView, Failure> {
        self.enter("ask mender");
        Ok(MenderView::Absent)
    }
}

impl Streams for Servers {
    async fn arm(
        &self,
        _: &DeviceRef,
        due: Timestamp,
        carrying: Option<&Payload>,
    ) -> PortResult<()> {
        self.meet("arm").await?;
        self.world().armed.push((due, carrying.cloned()));
        Ok(())
    }

    fn payload(&self, event: &Event) -> Payload {
        Payload {
            body: format!("made anew of {}", event.id.0).into_bytes(),
            ..Payload::default()
        }
    }

    async fn dead_letter(&self, letter: &DeadLetter) -> PortResult<()> {
        self.meet("dead letter").await?;
        self.world().dead.push(letter.clone());
        Ok(())
    }

    async fn report(&self, ended: &[Done]) -> PortResult<()> {
        self.meet("report").await?;
        self.world().reported.extend(ended.iter().cloned());
        Ok(())
    }
}

impl Ack for Servers {
    async fn ack(self) -> PortResult<()> {
        self.meet("ack").await.map(drop)
    }

    async fn retry(self, delay: Duration) -> PortResult<()> {
        self.meet("retry").await?;
        self.world().retried.push(delay);
        Ok(())
    }

    async fn in_progress(&self) -> PortResult<()> {
        self.meet("progress").await.map(drop)
    }
}
