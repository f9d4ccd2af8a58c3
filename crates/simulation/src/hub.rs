//! Hubs with ETags, generations and marks; requests that are refused, lost, applied late, or
//! answered in vain.

use std::time::Duration;

use lifecycle::{DeviceRef, Failure, Fate, HubWrite, IntegrationRef, Key, Keys, TenantId};
use reconciler::PerMinute;
use reconciler::ports::{Hub, Hubs, PortResult, Seen};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::mutant::Mutant;
use crate::port::{Port, pass};
use crate::world::{World, hub_number};

/// What is kept between the end of a request's life and that of its lease.
pub(crate) const MARGIN: Duration = Duration::from_secs(5);

/// The whole of an identity, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) etag: String,
    pub(crate) generation: String,
    /// None where it has no symmetric ones.
    pub(crate) keys: Option<Keys>,
}

/// One tenant's hub, as one integration reaches it.
#[derive(Debug, Clone)]
pub(crate) struct OneHub {
    pub(crate) port: Port,
    pub(crate) tenant: usize,
    pub(crate) integration: IntegrationRef,
    pub(crate) allowed: PerMinute,
}

/// A request that was sent and may still take effect.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) case: usize,
    pub(crate) hub: usize,
    /// Name of the integration that it was sent with.
    pub(crate) integration: String,
    pub(crate) request: HubWrite,
    /// Key of its intent.
    pub(crate) key: Key,
    /// Version of the record that first held its intent.
    pub(crate) stored: u64,
}

pub(crate) type Reply = Result<Option<Seen<Whole>>, (Failure, Fate)>;

/// What becomes of a request that passes the hub's door.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    /// When it takes effect, if it ever arrives.
    pub(crate) after: Option<Duration>,
    pub(crate) replies: bool,
    /// The caller waits no longer than this.
    pub(crate) patience: Duration,
}

/// A request that was sent, as its caller sees it.
enum Sent {
    Refused(Failure, Fate),
    Waiting(oneshot::Receiver<Reply>, Duration),
}

impl Hubs for Port {
    type Hub = OneHub;

    async fn hub(&self, tenant: &TenantId) -> PortResult<Option<OneHub>> {
        self.call("integration").await;
        let mut world = self.world();
        let percent = world.faults.store;
        let luck = world.luck(percent, "store fails");
        let found = world.tenants.iter().position(|known| known.id == *tenant);
        let tenant = found.expect("only tenants of this run are asked for");
        let known = &world.tenants[tenant];
        let mut integration = known.integration.clone();
        if world.is_mutant(Mutant::KeepsIntegration) {
            integration = Some(IntegrationRef {
                id: format!("i{tenant}"),
                hub: crate::world::hub_name(tenant, 0),
                generation: 1,
            });
        }
        let hub = integration.map(|integration| OneHub {
            port: self.clone(),
            tenant,
            integration,
            allowed: known.allowed,
        });
        luck.answer(hub)
    }
}

impl Hub for OneHub {
    type Identity = Whole;

    fn integration(&self) -> &IntegrationRef {
        &self.integration
    }

    fn allowed_per_minute(&self) -> Option<u32> {
        self.allowed
    }

    async fn read(&self, device: &DeviceRef) -> Result<Option<Seen<Whole>>, Failure> {
        self.port.call("hub read").await;
        let refused = {
            let mut world = self.port.world();
            world.check_suspension(self);
            world.ask(self).err()
        };
        if refused.as_ref().is_some_and(is_silent) {
            let time_out = self.port.world().time_out();
            sleep(time_out).await;
        }
        let shown = {
            let world = self.port.world();
            let case = world.case_of(device);
            world.cases[case].places[self.hub()].seen()
        };
        self.port.reply().await;
        let mut world = self.port.world();
        let refused = refused.map(|(failure, _)| failure);
        let failure = refused.or_else(|| world.lost_reply());
        world.answered(self, failure.as_ref());
        failure.map_or(Ok(shown), |failure| Err(world.as_a_mutant(failure)))
    }

    async fn write(&self, device: &DeviceRef, request: &HubWrite, held: Option<&Whole>) -> Reply {
        let reply = match self.send(device, request, held) {
            Sent::Refused(failure, fate) => Err((failure, fate)),
            Sent::Waiting(told, patience) => match timeout(patience, told).await {
                Ok(Ok(reply)) => reply,
                // A reply that is lost is waited for all the same.
                Ok(Err(_)) | Err(_) => Err(silent()),
            },
        };
        self.port.reply().await;
        let mut world = self.port.world();
        let failure = reply.as_ref().err().map(|(failure, _)| failure);
        world.answered(self, failure);
        reply.map_err(|(failure, fate)| (world.as_a_mutant(failure), fate))
    }

    async fn tag(&self, device: &DeviceRef, etag: &str) -> Result<(), Failure> {
        self.port
            .world()
            .check_integration(&self.integration, self.tenant, "tag");
        self.port.call("tag").await;
        let tagged = {
            let mut world = self.port.world();
            let asked = match world.ask(self) {
                // A permanent refusal would mean a hub without twins.
                Ok(()) | Err((Failure::Permanent(_), _)) => Ok(()),
                Err((failure, _)) => Err(failure),
            };
            asked.and_then(|()| world.tag(device, self, etag))
        };
        self.port.reply().await;
        self.port.world().answered(self, tagged.as_ref().err());
        tagged
    }
}

impl OneHub {
    pub(crate) fn hub(&self) -> usize {
        hub_number(&self.integration.hub)
    }

    /// The request leaves: from now on nobody can call it back.
    fn send(&self, device: &DeviceRef, request: &HubWrite, held: Option<&Whole>) -> Sent {
        let mut world = self.port.world();
        let number = self.port.life.number;
        world.called("hub write", number);
        world.check_integration(&self.integration, self.tenant, "request");
        world.check_suspension(self);
        if let HubWrite::Update { etag, .. } | HubWrite::Keys { etag, .. } = request {
            let at_hand = held.is_some_and(|held| held.etag == *etag);
            world.require(at_hand, "S14: an update without its identity at hand");
        }
        let case = world.case_of(device);
        let (key, stored) = world.intent_of(case, request);
        let flight = Flight {
            case,
            hub: self.hub(),
            integration: self.integration.id.clone(),
            request: request.clone(),
            key,
            stored,
        };
        world.note(|_| {
            format!(
                "process {number} sends for {}: {request:?}",
                device.to_tokens()
            )
        });
        let course = match world.ask(self) {
            Err(refused) if is_silent(&refused) => world.dropped(),
            Err((failure, fate)) => return Sent::Refused(failure, fate),
            Ok(()) => world.course(),
        };
        let (tell, told) = oneshot::channel();
        world.under_way += 1;
        tokio::spawn(fly(self.port.clone(), flight, course, tell));
        Sent::Waiting(told, course.patience)
    }
}

/// The request on its way, whether or not somebody waits for it.
async fn fly(port: Port, flight: Flight, course: Course, tell: oneshot::Sender<Reply>) {
    let Some(after) = course.after else {
        sleep(course.patience).await;
        port.world().under_way -= 1;
        return;
    };
    sleep(after).await;
    let (reply, back) = {
        let mut world = port.world();
        world.under_way -= 1;
        let late = tell.is_closed();
        (world.land(&flight, late), world.latency())
    };
    if course.replies {
        pass(back).await;
        drop(tell.send(reply));
    } else {
        sleep(course.patience).await;
    }
}

pub(crate) fn silent() -> (Failure, Fate) {
    (Failure::Transient("no answer".to_owned()), Fate::Unknown)
}

fn is_silent(failed: &(Failure, Fate)) -> bool {
    *failed == silent()
}

impl World {
    /// Longest time that a caller waits for a hub, and a request lives.
    pub(crate) fn time_out(&self) -> Duration {
        (self.policy.lease / 2).saturating_sub(MARGIN)
    }
}
