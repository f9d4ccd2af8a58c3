//! Hubs with ETags, generations and marks; requests that are refused, lost, applied late, or
//! answered in vain.

use std::time::Duration;

use lifecycle::{DeviceRef, Facts, Failure, Fate, HubWrite, IntegrationRef, Key, Mark, TenantId};
use reconciler::PerMinute;
use reconciler::ports::{Hub, Hubs, PortResult, Seen};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::mutant::Mutant;
use crate::port::{Port, pass};
use crate::world::{Identity, Trouble, World, hub_number};

/// What is kept between the end of a request's life and that of its lease.
pub(crate) const MARGIN: Duration = Duration::from_secs(5);

/// The whole of an identity, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) etag: String,
    pub(crate) generation: String,
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

type Reply = Result<Option<Seen<Whole>>, (Failure, Fate)>;

/// What becomes of a request that passes the hub's door.
#[derive(Debug, Clone, Copy)]
struct Course {
    /// When it takes effect, if it ever arrives.
    after: Option<Duration>,
    replies: bool,
    /// The caller waits no longer than this.
    patience: Duration,
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

    /// A request meets the hub's door.
    pub(crate) fn ask(&mut self, hub: &OneHub) -> Result<(), (Failure, Fate)> {
        let trouble = self.tenants[hub.tenant].trouble[hub.hub()];
        if let Some((trouble, until)) = trouble
            && until > tokio::time::Instant::now()
        {
            self.chronicle.fault(trouble.kind());
            return Err(trouble.failure());
        }
        if self.rng.chance(self.faults.permanent) {
            self.chronicle.fault("400");
            return Err((Failure::Permanent("400".into()), Fate::Done));
        }
        if !self.rng.chance(self.faults.refusal) {
            return Ok(());
        }
        let wait = Duration::from_secs(30);
        let (kind, failure, fate) = match self.rng.below(6) {
            0 => ("429", Failure::Throttled { wait: None }, Fate::Done),
            1 => ("429", Failure::Throttled { wait: Some(wait) }, Fate::Done),
            2 => ("403 hub full", Failure::Full("403".into()), Fate::Done),
            3 => ("412", Failure::Conflict, Fate::Done),
            4 => ("500", Failure::Transient("500".into()), Fate::Unknown),
            _ => ("503", Failure::Transient("503".into()), Fate::Done),
        };
        self.chronicle.fault(kind);
        Err((failure, fate))
    }

    /// A request that never arrives.
    fn dropped(&self) -> Course {
        Course {
            after: None,
            replies: false,
            patience: self.time_out(),
        }
    }

    fn course(&mut self) -> Course {
        let time_out = self.time_out();
        let usual = Course {
            after: Some(self.latency().unwrap_or_default().min(time_out)),
            replies: true,
            patience: time_out,
        };
        if !self.rng.chance(self.faults.network) {
            return usual;
        }
        match self.rng.below(6) {
            0..=2 => {
                self.chronicle.fault("late effect");
                Course {
                    after: Some(self.rng.time(time_out)),
                    patience: self.rng.time(time_out),
                    ..usual
                }
            }
            3 => {
                self.chronicle.fault("request lost");
                self.dropped()
            }
            _ => {
                self.chronicle.fault("reply lost");
                Course {
                    replies: false,
                    patience: self.rng.time(time_out),
                    ..usual
                }
            }
        }
    }

    fn as_a_mutant(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Credentials(text) if self.is_mutant(Mutant::IgnoresSuspension) => {
                Failure::Transient(text)
            }
            other => other,
        }
    }

    fn lost_reply(&mut self) -> Option<Failure> {
        let percent = self.faults.network / 3;
        let lost = self.rng.chance(percent);
        lost.then(|| {
            self.chronicle.fault("reply lost");
            silent().0
        })
    }

    /// A request reaches the hub.
    fn land(&mut self, flight: &Flight, late: bool) -> Reply {
        let place = &self.cases[flight.case].places[flight.hub];
        let before = place.identity.clone();
        let taken = self.take_effect(flight);
        self.note(|world| {
            let shown = &world.cases[flight.case].places[flight.hub].identity;
            format!("landed {:?}: {taken:?}, {shown:?}", flight.request)
        });
        match &taken {
            Ok(true) => {
                self.chronicle.saw(if late {
                    "applied late"
                } else {
                    "applied in time"
                });
                self.check_effect(flight, before.as_ref());
            }
            Ok(false) => {}
            Err(_) => self.chronicle.saw("conflict"),
        }
        let seen = self.cases[flight.case].places[flight.hub].seen();
        taken.map(|_| seen)
    }

    /// Whether a request was sent with the integration that the tenant still has. Another one
    /// takes what is there for somebody else's.
    pub(crate) fn is_of_now(&self, flight: &Flight) -> bool {
        self.is_present(self.cases[flight.case].tenant, &flight.integration)
    }

    fn is_present(&self, tenant: usize, integration: &str) -> bool {
        let present = self.tenants[tenant].integration.as_ref();
        present.is_none_or(|present| present.id == integration)
    }

    /// `Ok(true)` if something changed.
    fn take_effect(&mut self, flight: &Flight) -> Result<bool, (Failure, Fate)> {
        let conflict = Err((Failure::Conflict, Fate::Done));
        let any_etag = self.is_mutant(Mutant::IgnoresEtags);
        let replaces = self.is_mutant(Mutant::CreateReplaces);
        let fresh = self.fresh();
        let ours = self.is_of_now(flight);
        let place = &mut self.cases[flight.case].places[flight.hub];
        let matches = |etag: &String| {
            let there = place.identity.as_ref();
            there.is_some_and(|there| any_etag || there.facts.etag == *etag)
        };
        match &flight.request {
            HubWrite::Create { mark, .. } => {
                if place.identity.is_some() && !replaces {
                    return conflict;
                }
                place.identity = Some(made(fresh, mark, &flight.key, ours));
            }
            HubWrite::Delete { .. } if place.identity.is_none() => return Ok(false),
            HubWrite::Update { etag, .. }
            | HubWrite::Keys { etag, .. }
            | HubWrite::Delete { etag, .. }
                if !matches(etag) =>
            {
                return conflict;
            }
            HubWrite::Update { enable, .. } => {
                if let Some(there) = &mut place.identity {
                    there.facts.enabled = *enable;
                    there.facts.etag = format!("e{fresh}");
                }
            }
            HubWrite::Keys { .. } => {
                if let Some(there) = &mut place.identity {
                    there.facts.etag = format!("e{fresh}");
                }
            }
            HubWrite::Delete { .. } => place.identity = None,
        }
        Ok(true)
    }

    fn tag(&mut self, device: &DeviceRef, by: &OneHub, etag: &str) -> Result<(), Failure> {
        let hub = by.hub();
        let of_now = self.is_present(by.tenant, &by.integration.id);
        let case = self.case_of(device);
        let there = self.cases[case].places[hub].identity.clone();
        match there {
            Some(there) if there.facts.etag == etag => {
                self.require(there.ours || !of_now, "S1: a foreign twin was tagged");
                self.cases[case].places[hub].tagged = Some(there.facts.generation);
                Ok(())
            }
            _ => Err(Failure::Conflict),
        }
    }
}

fn made(number: u64, mark: &Mark, key: &Key, ours: bool) -> Identity {
    Identity {
        facts: Facts {
            generation: format!("g{number}"),
            etag: format!("e{number}"),
            enabled: true,
            mark: Some(mark.clone()),
            keys: None,
        },
        ours,
        made_for: key.incarnation,
    }
}

impl crate::world::Place {
    pub(crate) fn seen(&self) -> Option<Seen<Whole>> {
        let facts = self.identity.as_ref()?.facts.clone();
        let identity = Whole {
            etag: facts.etag.clone(),
            generation: facts.generation.clone(),
        };
        Some(Seen { facts, identity })
    }
}

impl Trouble {
    pub(crate) const ALL: [Self; 6] = [
        Self::Refuses,
        Self::Silent,
        Self::Broken,
        Self::Unauthorized,
        Self::Full,
        Self::Busy,
    ];

    const fn kind(self) -> &'static str {
        match self {
            Self::Refuses => "hub away",
            Self::Silent => "hub silent",
            Self::Broken => "hub broken",
            Self::Unauthorized => "401",
            Self::Full => "403 hub full",
            Self::Busy => "429",
        }
    }

    fn failure(self) -> (Failure, Fate) {
        match self {
            Self::Refuses => (Failure::Transient("refused".into()), Fate::Done),
            Self::Silent => silent(),
            Self::Broken => (Failure::Transient("502".into()), Fate::Unknown),
            Self::Unauthorized => (Failure::Credentials("401".into()), Fate::Done),
            Self::Full => (Failure::Full("403".into()), Fate::Done),
            Self::Busy => (Failure::Throttled { wait: None }, Fate::Done),
        }
    }
}
