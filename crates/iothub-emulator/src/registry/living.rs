//! The living side of devices and modules: scripts, connections, and what they report.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Device, LineId, Registry};
use crate::behaviour::{Behaviour, Reply};
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::identity::Status;
use crate::life::Life;
use crate::session::Channel;
use crate::twin::{Document, Twin};

/// A device, or one of its modules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) device: String,
    pub(crate) module: Option<String>,
}

/// What a direct method comes down to.
#[derive(Debug)]
pub(crate) enum Reach {
    /// Its script takes the call: the life it lives, and how it will answer.
    Takes(Ticks, Box<Reply>),
    /// Something real takes the call.
    Line(LineId),
    /// It is not connected, or listens to no method.
    Offline,
}

impl Registry {
    /// Sets or removes the script of a device or module. Answers with its generation.
    pub(crate) fn behave(
        &mut self,
        target: &Target,
        script: Option<Arc<Behaviour>>,
    ) -> Result<Ticks, ServiceError> {
        self.alive(target, None, |life, _, allowed, now| {
            life.behave(script, allowed, now);
            Ok(())
        })
    }

    /// The script of a device or module.
    pub(crate) fn script(&self, target: &Target) -> Result<Option<Arc<Behaviour>>, ServiceError> {
        let device = self.devices.get(&target.device);
        let life = device.and_then(|device| match &target.module {
            Some(module) => device.modules.get(module).map(|it| &it.life),
            None => Some(&device.life),
        });
        life.map(|it| it.script.clone())
            .ok_or_else(|| missing(target))
    }

    /// Finds out who would take a direct method. A disabled device counts as missing.
    pub(crate) fn reach(&self, target: &Target, method: &str) -> Result<Reach, ServiceError> {
        let device = self.devices.get(&target.device);
        let device = device.filter(|it| it.identity.status == Status::Enabled);
        let device = device.ok_or_else(|| missing(target))?;
        let (life, generation) = match &target.module {
            None => (&device.life, device.identity.generation),
            Some(module) => {
                let module = device.modules.get(module).ok_or_else(|| missing(target))?;
                (&module.life, module.identity.generation)
            }
        };
        if let Some(line) = self.line(target) {
            let listens = life
                .session
                .as_ref()
                .and_then(|it| it.qos(Channel::Methods));
            return Ok(listens.map_or(Reach::Offline, |_| Reach::Line(line)));
        }
        let script = life.script.as_ref().filter(|_| life.is_online());
        Ok(match script.and_then(|it| it.reply(method)) {
            Some(reply) => Reach::Takes(generation, Box::new(reply)),
            None => Reach::Offline,
        })
    }

    /// Connects or disconnects a device or module, if it still is the one it was.
    pub(crate) fn connect(
        &mut self,
        target: &Target,
        generation: Ticks,
        online: bool,
    ) -> Result<Ticks, ServiceError> {
        self.alive(target, Some(generation), |life, _, allowed, now| {
            life.connect(online, allowed, now);
            Ok(())
        })
    }

    /// Merges into the reported properties, as the device itself does; without a generation,
    /// whoever bears the name now.
    pub(crate) fn report(
        &mut self,
        target: &Target,
        generation: Option<Ticks>,
        patch: &Document,
    ) -> Result<Ticks, ServiceError> {
        self.alive(target, generation, |life, twin, _, now| {
            twin.report(patch, now)?;
            life.active = now;
            Ok(())
        })
    }

    /// How many devices are connected.
    pub(crate) fn connected(&self) -> usize {
        let devices = self.devices.values();
        devices.filter(|it| it.life.is_online()).count()
    }

    /// Works on the living side of `target`; its generation comes back.
    pub(super) fn alive(
        &mut self,
        target: &Target,
        generation: Option<Ticks>,
        work: impl FnOnce(&mut Life, &mut Twin, bool, Ticks) -> Result<(), ServiceError>,
    ) -> Result<Ticks, ServiceError> {
        let past = self.history.glimpse(self.devices.get(&target.device));
        let now = self.now;
        let device = self
            .devices
            .get_mut(&target.device)
            .ok_or_else(|| missing(target))?;
        let allowed = device.identity.status == Status::Enabled;
        let (life, twin, born) = match &target.module {
            None => (
                &mut device.life,
                &mut device.twin,
                device.identity.generation,
            ),
            Some(module) => {
                let module = device
                    .modules
                    .get_mut(module)
                    .ok_or_else(|| missing(target))?;
                (
                    &mut module.life,
                    &mut module.twin,
                    module.identity.generation,
                )
            }
        };
        if generation.is_some_and(|it| it != born) {
            return Err(missing(target));
        }
        work(life, twin, allowed, now)?;
        self.changed(&target.device, past);
        Ok(born)
    }
}

impl Device {
    /// Cuts or resumes connections after the identity has changed.
    pub(super) fn settle_connections(&mut self, now: Ticks) {
        let allowed = self.identity.status == Status::Enabled;
        self.life.settle(allowed, now);
        for module in self.modules.values_mut() {
            module.life.settle(allowed, now);
        }
    }
}

pub(super) fn missing(target: &Target) -> ServiceError {
    ServiceError::device_not_found(&target.device).by_twins()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand_edit::HandEdit;
    use crate::registry::Fresh;
    use serde_json::json;

    fn fresh(n: u64) -> Fresh {
        let keys = crate::authentication::FreshKeys {
            primary: String::new(),
            secondary: String::new(),
        };
        Fresh {
            now: Ticks::from_unix_micros(n),
            etag_seed: 1,
            keys,
            template: None,
            rules: crate::choices::DeviceRules::default(),
        }
    }

    fn edit(registry: &mut Registry, body: &str, n: u64) {
        registry.begin(Ticks::from_unix_micros(n));
        let edit = HandEdit::parse(body.as_bytes()).unwrap();
        registry.hand_edit("d", edit, fresh(n)).result.unwrap();
    }

    fn target() -> Target {
        Target {
            device: "d".to_owned(),
            module: None,
        }
    }

    fn living() -> (Registry, Ticks) {
        let mut registry = Registry::default();
        edit(&mut registry, "", 1);
        let script = Behaviour::parse(br#"{"methods":{"m":{}}}"#).unwrap();
        let generation = registry.behave(&target(), Some(Arc::new(script))).unwrap();
        (registry, generation)
    }

    #[test]
    fn a_method_reaches_a_connected_device_that_listens() {
        let (mut registry, generation) = living();
        let reach = registry.reach(&target(), "m").unwrap();
        assert!(matches!(reach, Reach::Takes(it, _) if it == generation));
        registry.connect(&target(), generation, false).unwrap();
        assert!(matches!(registry.reach(&target(), "m"), Ok(Reach::Offline)));
        registry
            .behave(&target(), Some(Arc::new(Behaviour::parse(b"{}").unwrap())))
            .unwrap();
        assert!(matches!(registry.reach(&target(), "m"), Ok(Reach::Offline)));
    }

    #[test]
    fn disabling_cuts_the_connection_and_enabling_resumes_it() {
        let (mut registry, _) = living();
        assert_eq!(registry.connected(), 1);
        edit(&mut registry, r#"{"status":"disabled"}"#, 2);
        assert_eq!(registry.connected(), 0);
        assert_eq!(registry.reach(&target(), "m").unwrap_err().status, 404);
        edit(&mut registry, r#"{"status":"enabled"}"#, 3);
        assert_eq!(registry.connected(), 1);
    }

    #[test]
    fn a_device_made_again_does_not_go_on_with_the_old_ones_script() {
        let (mut registry, generation) = living();
        registry
            .delete("d", &crate::etag::Precondition::Any)
            .result
            .unwrap();
        edit(&mut registry, "", 5);
        let patch = json!({"a": 1}).as_object().unwrap().clone();
        assert!(
            registry
                .report(&target(), Some(generation), &patch)
                .is_err()
        );
        assert!(registry.connect(&target(), generation, true).is_err());
        assert!(registry.report(&target(), None, &patch).is_ok());
        let twin = &registry.get("d").unwrap().twin;
        assert_eq!(
            (twin.reported.version, twin.etag.text().as_str()),
            (2, "AAAAAAAAAAE=")
        );
    }
}
