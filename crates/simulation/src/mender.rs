//! The Mender server: deviceauth for one device, and deviceconfig.

use std::time::Duration;

use lifecycle::{DeviceRef, Failure, Fate, IntegrationRef, KeySlot, MenderView};
use reconciler::ports::Mender;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::case::Configured;
use crate::hub::{MARGIN, Whole, silent};
use crate::mutant::Mutant;
use crate::port::Port;
use crate::world::{World, hub_number};

/// A delivery on its way to the device.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) case: usize,
    pub(crate) hub: usize,
    pub(crate) generation: String,
    /// The key that is handed over.
    pub(crate) key: String,
}

impl Mender for Port {
    type Identity = Whole;

    async fn deliver(
        &self,
        device: &DeviceRef,
        integration: &IntegrationRef,
        identity: &Whole,
        slot: KeySlot,
    ) -> Result<String, (Failure, Fate)> {
        let Some(keys) = &identity.keys else {
            let keyless = Failure::Permanent("no key".to_owned());
            return Err((keyless, Fate::Done));
        };
        let asked = match slot {
            KeySlot::Primary => &keys.primary,
            KeySlot::Secondary => &keys.secondary,
        };
        let key = if self.world().is_mutant(Mutant::DeliversPrimary) {
            &keys.primary
        } else {
            asked
        };
        let (told, patience) = self.hand_over(device, integration, identity, key)?;
        let reply = timeout(patience, told).await;
        self.reply().await;
        match reply {
            Ok(Ok(())) => Ok(asked.clone()),
            Ok(Err(_)) | Err(_) => Err(silent()),
        }
    }

    async fn view(&self, device: &DeviceRef) -> Result<MenderView, Failure> {
        self.call("ask mender").await;
        let view = {
            let mut world = self.world();
            world.chronicle.saw("question");
            let case = world.case_of(device);
            let percent = world.faults.mender;
            let down = world.rng.chance(percent);
            if down {
                world.chronicle.fault("deviceauth down");
                Err(Failure::Transient("deviceauth is down".into()))
            } else {
                Ok(world.cases[case].truth)
            }
        };
        self.reply().await;
        view
    }
}

type Told = (oneshot::Receiver<()>, Duration);

impl Port {
    fn hand_over(
        &self,
        device: &DeviceRef,
        integration: &IntegrationRef,
        identity: &Whole,
        key: &str,
    ) -> Result<Told, (Failure, Fate)> {
        let mut world = self.world();
        world.called("deliver", self.life.number);
        let delivery = Delivery {
            case: world.case_of(device),
            hub: hub_number(&integration.hub),
            generation: identity.generation.clone(),
            key: key.to_owned(),
        };
        let tenant = world.cases[delivery.case].tenant;
        world.check_integration(integration, tenant, "delivery");
        world.check_delivery(&delivery);
        world.note(|_| format!("delivers {delivery:?}"));
        let time_out = (world.policy.delivery_lease / 2).saturating_sub(MARGIN);
        let mut course = (world.latency().unwrap_or_default().min(time_out), true);
        let mut patience = time_out;
        let percent = world.faults.mender;
        if world.rng.chance(percent) {
            world.chronicle.fault("deviceconfig in trouble");
            match world.rng.below(3) {
                0 => {
                    let down = Failure::Transient("deviceconfig is down".into());
                    return Err((down, Fate::Done));
                }
                1 => course.1 = false,
                _ => {
                    course.0 = world.rng.time(time_out);
                    patience = world.rng.time(time_out);
                }
            }
        }
        let (tell, told) = oneshot::channel();
        world.under_way += 1;
        world.cases[delivery.case].deliveries += 1;
        tokio::spawn(travel(self.clone(), delivery, course, tell));
        Ok((told, patience))
    }
}

async fn travel(
    port: Port,
    delivery: Delivery,
    (after, arrives): (Duration, bool),
    tell: oneshot::Sender<()>,
) {
    sleep(after).await;
    port.world().arrive(&delivery, arrives);
    if arrives && tell.send(()).is_err() {
        port.world().chronicle.saw("delivered late");
    }
}

impl World {
    fn arrive(&mut self, delivery: &Delivery, arrives: bool) {
        self.under_way -= 1;
        let case = &mut self.cases[delivery.case];
        case.deliveries -= 1;
        if arrives {
            case.configured = Some(Configured {
                hub: delivery.hub,
                generation: delivery.generation.clone(),
                key: delivery.key.clone(),
            });
            self.check_online(delivery.case, delivery.hub);
            self.chronicle.saw("delivered");
            self.note(|_| format!("delivered {delivery:?}"));
        }
    }
}
