//! Carrying out what configurations want of a device.

use super::effect::Facet;
use super::{Fresh, Registry, Trace, modules};
use crate::configurations::apply::{Plan, TwinPlan};
use crate::configurations::content::{Setting, put};
use crate::errors::ServiceError;
use crate::module::{ModuleDraft, ModuleEdit};
use crate::twin::{Document, Twin};

impl Registry {
    /// Makes the changes of a plan; `None` if there were none to make. A change that would break
    /// the limits of a twin is left out.
    pub(crate) fn carry_out(&mut self, id: &str, plan: Plan, fresh: &Fresh) -> Option<Trace> {
        if plan == Plan::default() {
            return None;
        }
        let effect = self.observe(id, Facet::Twin, |devices| {
            let device = devices
                .get_mut(id)
                .ok_or_else(|| ServiceError::device_not_found(id))?;
            for module in plan.modules {
                let edit = of_edge_runtime(id, &module)?;
                let twin = Twin::new(fresh.now);
                modules::create(device, &module, edit, twin, fresh.clone())?;
            }
            for (module, wish) in plan.twins {
                let twin = match &module {
                    None => Some(&mut device.twin),
                    Some(module) => device.modules.get_mut(module).map(|it| &mut it.twin),
                };
                if let Some(twin) = twin {
                    write(twin, wish, fresh);
                }
            }
            Ok(true)
        });
        Some(effect.trace)
    }

    /// Writes the content of an edge deployment into the modules of one device.
    pub(crate) fn apply_content(
        &mut self,
        id: &str,
        content: &std::collections::BTreeMap<String, Vec<Setting>>,
        fresh: &Fresh,
    ) -> super::Effect<'_> {
        self.observe(id, Facet::Identity, |devices| {
            let device = devices
                .get_mut(id)
                .ok_or_else(|| ServiceError::device_not_found(id))?;
            if !device.identity.capabilities.iot_edge {
                return Err(ServiceError::not_an_edge_device(id));
            }
            for (name, settings) in content {
                if !device.modules.contains_key(name) {
                    let edit = of_edge_runtime(id, name)?;
                    let twin = Twin::new(fresh.now);
                    modules::create(device, name, edit, twin, fresh.clone())?;
                }
                let mut wanted = Document::new();
                put(&mut wanted, settings);
                if let Some(module) = device.modules.get_mut(name) {
                    module.twin.set_desired(wanted, None, fresh.now)?;
                }
            }
            Ok(true)
        })
    }
}

fn of_edge_runtime(device: &str, module: &str) -> Result<ModuleEdit, ServiceError> {
    let draft = ModuleDraft {
        device_id: Some(device.to_owned()),
        module_id: Some(module.to_owned()),
        managed_by: Some("iotEdge".to_owned()),
        authentication: None,
    };
    draft.check(device, module)
}

fn write(twin: &mut Twin, wish: TwinPlan, fresh: &Fresh) {
    let TwinPlan { mut marks, desired } = wish;
    if let Some((wanted, author)) = desired
        && twin.set_desired(wanted, Some(&author), fresh.now).is_err()
    {
        marks.insert(author.by, crate::twin::Mark::Targeted);
    }
    twin.marks = marks;
}
