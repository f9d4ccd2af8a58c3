//! One item of a bulk call, applied: what each import mode demands of what is there.
//!
//! The modes map onto the operations that single calls use, with the etag rules of the table in
//! the service's documents. `delete` never looks at an etag, and `deleteIfMatchETag` without one
//! deletes: that is how the real service was recorded.

use super::effect::Facet;
use super::modules::{self, Gate};
use super::{Fresh, Registry, Trace, check_room, new_device};
use crate::bulk::{Item, Mode};
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::etag::Precondition;

/// What became of one item.
pub(crate) struct Applied {
    pub(crate) result: Result<(), ServiceError>,
    pub(crate) trace: Trace,
}

impl Applied {
    /// An item that never got as far as the state.
    pub(crate) fn refused(error: ServiceError) -> Self {
        Self {
            result: Err(error),
            trace: Trace::default(),
        }
    }
}

impl Registry {
    /// Applies one item. `update_checks_etag` decides what an etag means in mode `update`.
    pub(crate) fn apply(&mut self, item: Item, update_checks_etag: bool, fresh: Fresh) -> Applied {
        let wish = item.check_ids().and_then(|()| item.mode.clone());
        let wish = wish.map(|mode| self.wish(&item, mode, update_checks_etag));
        match wish {
            Ok(wish) if item.module.is_some() => self.apply_to_module(item, wish, fresh),
            Ok(wish) => self.apply_to_device(item, wish, fresh),
            Err(error) => Applied::refused(error),
        }
    }

    /// The plain operation a mode comes down to, given what is there.
    fn wish(&self, item: &Item, mode: Mode, checks: bool) -> Wish {
        let device = self.devices.get(&item.id);
        let exists = match &item.module {
            Some(module) => device.is_some_and(|it| it.modules.contains_key(module)),
            None => device.is_some(),
        };
        let named = |etag: &Option<String>| etag.clone().map(Precondition::Exactly);
        let etag = named(&item.etag);
        match mode {
            Mode::Create => Wish::Create,
            Mode::CreateOrUpdate | Mode::CreateOrUpdateIfMatch if !exists => Wish::Create,
            Mode::CreateOrUpdateIfMatch => Wish::Update(etag.unwrap_or(Precondition::Any)),
            Mode::Update if checks => Wish::Update(etag.unwrap_or(Precondition::Any)),
            Mode::Update | Mode::CreateOrUpdate => Wish::Update(Precondition::Any),
            Mode::UpdateIfMatch => Wish::Update(etag.unwrap_or_else(nothing_matches)),
            Mode::Delete => Wish::Delete(Precondition::Any),
            Mode::DeleteIfMatch => Wish::Delete(etag.unwrap_or(Precondition::Any)),
            Mode::UpdateTwin => Wish::Twin(Precondition::Any),
            Mode::UpdateTwinIfMatch => {
                Wish::Twin(named(&item.twin_etag).unwrap_or_else(nothing_matches))
            }
        }
    }

    fn apply_to_device(&mut self, item: Item, wish: Wish, fresh: Fresh) -> Applied {
        let id = item.id.as_str();
        let effect = match wish {
            Wish::Create => {
                let edit = match item.device_draft.check(id) {
                    Ok(edit) => edit,
                    Err(error) => return Applied::refused(error),
                };
                self.observe(id, Facet::Identity, |devices| {
                    if devices.contains_key(id) {
                        return Err(ServiceError::device_already_exists(id));
                    }
                    check_room(devices, fresh.rules)?;
                    let mut device = new_device(id, edit, fresh)?;
                    // Recorded: the twin of such a device was never updated.
                    device.twin = item.seed.grow(Ticks::NEVER)?;
                    devices.insert(id.to_owned(), device);
                    Ok(true)
                })
            }
            Wish::Update(precondition) => match item.device_draft.check(id) {
                Ok(edit) => self.put(id, edit, &precondition, fresh),
                Err(error) => return Applied::refused(error),
            },
            Wish::Delete(precondition) => self.delete(id, &precondition),
            Wish::Twin(precondition) => {
                self.patch_twin(id, &item.twin_edit, &precondition, fresh.now)
            }
        };
        Applied {
            result: effect.result.map(|_| ()),
            trace: effect.trace,
        }
    }

    fn apply_to_module(&mut self, item: Item, wish: Wish, fresh: Fresh) -> Applied {
        let (id, module) = (item.id.as_str(), item.module.as_deref().unwrap_or_default());
        let edit = item.module_draft.check(id, module);
        let effect = match wish {
            Wish::Create => self.observe_module(id, module, Facet::Identity, |device| {
                let device = device.ok_or_else(|| ServiceError::device_not_found(id))?;
                // Recorded: unlike a device's, this twin has the time of its creation.
                let twin = item.seed.grow(fresh.now)?;
                modules::create(device, module, edit?, twin, fresh)
            }),
            Wish::Update(precondition) => match edit {
                Ok(edit) => self.put_module((id, module), edit, &precondition, fresh, Gate::Entra),
                Err(error) => return Applied::refused(error),
            },
            Wish::Delete(precondition) => {
                self.delete_module((id, module), &precondition, Gate::Entra)
            }
            Wish::Twin(precondition) => {
                let (ids, edit) = ((id, module), &item.twin_edit);
                self.write_module_twin(ids, edit, false, &precondition, fresh.now)
            }
        };
        Applied {
            result: effect.result.map(|_| ()),
            trace: effect.trace,
        }
    }
}

/// What an item comes down to.
enum Wish {
    Create,
    Update(Precondition),
    Delete(Precondition),
    Twin(Precondition),
}

/// For a mode that insists on an etag when there is none.
fn nothing_matches() -> Precondition {
    Precondition::Exactly(String::new())
}

#[cfg(test)]
mod tests;
