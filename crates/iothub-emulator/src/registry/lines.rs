//! Devices that are connected for real: by what right, and what they have to be told.
//!
//! A line is one connection of one device or module. The state knows no sockets. Whenever a device
//! has changed, it looks at the lines of that device: whether the right by which each was let in
//! still holds, and whether its desired properties are still those it was told. What follows comes
//! out as [`Signal`]s, in the order of the changes, for whoever holds the other ends.

use std::collections::BTreeMap;

use super::living::missing;
use super::{Device, Registry, Target};
use crate::authentication::Authentication;
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::identity::Status;
use crate::life::Life;
use crate::session::{Channel, Quality, Session};
use crate::twin::{Document, Twin};

/// Tells one connection from all others of this process.
pub(crate) type LineId = u64;

/// Why the hub ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Another one began in the same name.
    Replaced,
    /// The device or module is gone, or another one of the same name is there.
    Deleted,
    /// The device is disabled.
    Disabled,
    /// The key that signed its token is no longer its key.
    KeyChanged,
    /// It did not take what it was sent.
    Slow,
}

/// What has to be passed on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Signal {
    /// The connection must end.
    Cut(LineId, Cut),
    /// Its desired properties were changed by this patch, which holds the new `$version`.
    Desired(LineId, Document),
}

/// One connection.
#[derive(Debug)]
struct Line {
    id: LineId,
    target: Target,
    /// Of whom it is the connection.
    generation: Ticks,
    /// The key that signed its token.
    key: String,
    /// The desired properties it knows: their version and values.
    seen: (u64, Document),
}

/// All connections, by device.
#[derive(Debug, Default)]
pub(super) struct Lines {
    by_device: BTreeMap<String, Vec<Line>>,
    signals: Vec<Signal>,
}

impl Lines {
    fn of(&self, target: &Target) -> Option<&Line> {
        let lines = self.by_device.get(&target.device)?;
        lines.iter().find(|line| line.target == *target)
    }

    fn remove(&mut self, target: &Target) -> Option<Line> {
        let lines = self.by_device.get_mut(&target.device)?;
        let at = lines.iter().position(|line| line.target == *target)?;
        let line = lines.swap_remove(at);
        if lines.is_empty() {
            self.by_device.remove(&target.device);
        }
        Some(line)
    }
}

impl Registry {
    /// What must be passed on since this was last asked.
    pub(crate) fn take_signals(&mut self) -> Vec<Signal> {
        std::mem::take(&mut self.lines.signals)
    }

    /// The connection of a device or module.
    pub(crate) fn line(&self, target: &Target) -> Option<LineId> {
        self.lines.of(target).map(|line| line.id)
    }

    /// What a device or module proves itself with, if it may connect at all.
    pub(crate) fn credentials(&self, target: &Target) -> Option<&Authentication> {
        let device = self.devices.get(&target.device)?;
        let enabled = device.identity.status == Status::Enabled;
        let found = device.part(target).filter(|_| enabled)?;
        Some(found.authentication)
    }

    /// Begins a connection, let in by a token that `key` signed; an earlier one in the same name
    /// ends. Says whether an earlier session goes on.
    pub(crate) fn attach(
        &mut self,
        target: &Target,
        id: LineId,
        key: &str,
        clean: bool,
    ) -> Result<bool, ServiceError> {
        if let Some(earlier) = self.lines.remove(target) {
            let cut = Signal::Cut(earlier.id, Cut::Replaced);
            self.lines.signals.push(cut);
        }
        let (mut goes_on, mut seen) = (false, (0, Document::new()));
        let generation = self.alive(target, None, |life, twin, _, now| {
            goes_on = life.pick_up(clean, now);
            seen = (twin.desired.version, twin.desired.values.clone());
            Ok(())
        })?;
        let lines = self.lines.by_device.entry(target.device.clone());
        lines.or_default().push(Line {
            id,
            target: target.clone(),
            generation,
            key: key.to_owned(),
            seen,
        });
        Ok(goes_on)
    }

    /// Works on a device or module over its connection; refused once that has been cut.
    pub(crate) fn over_line<T>(
        &mut self,
        target: &Target,
        id: LineId,
        work: impl FnOnce(&mut Life, &mut Twin, Ticks) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        if self.line(target) != Some(id) {
            return Err(missing(target));
        }
        let mut done = None;
        self.alive(target, None, |life, twin, _, now| {
            life.active = now;
            done = Some(work(life, twin, now)?);
            Ok(())
        })?;
        done.ok_or_else(|| missing(target))
    }

    /// Subscribes, or unsubscribes without a quality.
    pub(crate) fn subscribe(
        &mut self,
        target: &Target,
        id: LineId,
        channel: Channel,
        quality: Option<Quality>,
    ) -> Result<(), ServiceError> {
        self.over_line(target, id, |life, _, _| {
            let session = life.session.get_or_insert(Session::new(true));
            session.set(channel, quality);
            Ok(())
        })
    }

    /// The quality in which a device is told something; `None` if it did not ask for it.
    pub(crate) fn subscribed(&self, target: &Target, channel: Channel) -> Option<Quality> {
        let device = self.devices.get(&target.device)?;
        let session = device.part(target)?.life.session.as_ref()?;
        session.qos(channel)
    }

    /// Ends a connection, unless it has been cut already.
    pub(crate) fn detach(&mut self, target: &Target, id: LineId) {
        if self.line(target) != Some(id) {
            return;
        }
        self.lines.remove(target);
        // A line in the list belongs to somebody who is there: whoever goes takes it along.
        let _ = self.alive(target, None, |life, _, allowed, now| {
            life.hang_up(allowed, now);
            Ok(())
        });
    }

    /// Looks at the lines of a device that has changed.
    pub(super) fn review(&mut self, id: &str) {
        let Some(mut lines) = self.lines.by_device.remove(id) else {
            return;
        };
        let (now, signals) = (self.now, &mut self.lines.signals);
        let mut device = self.devices.get_mut(id);
        lines.retain_mut(|line| match verdict(device.as_deref(), line) {
            Ok(patch) => {
                signals.extend(patch.map(|patch| Signal::Desired(line.id, patch)));
                true
            }
            Err(cut) => {
                signals.push(Signal::Cut(line.id, cut));
                if let Some(life) = device.as_deref_mut().and_then(|it| it.life(&line.target)) {
                    life.hang_up(cut != Cut::Disabled, now);
                }
                false
            }
        });
        if !lines.is_empty() {
            self.lines.by_device.insert(id.to_owned(), lines);
        }
    }
}

/// What becomes of a line: it stays, perhaps with something to be told, or it is cut.
fn verdict(device: Option<&Device>, line: &mut Line) -> Result<Option<Document>, Cut> {
    let device = device.ok_or(Cut::Deleted)?;
    let part = device.part(&line.target).ok_or(Cut::Deleted)?;
    if part.generation != line.generation {
        return Err(Cut::Deleted);
    }
    if device.identity.status == Status::Disabled {
        return Err(Cut::Disabled);
    }
    if !part.authentication.has_key(&line.key) {
        return Err(Cut::KeyChanged);
    }
    let desired = &part.twin.desired;
    if desired.version == line.seen.0 {
        return Ok(None);
    }
    let patch = desired.patch_since(line.seen.0, &line.seen.1);
    line.seen = (desired.version, desired.values.clone());
    Ok(Some(patch))
}

/// A device, or a module of it, as far as its connection is concerned.
struct Part<'a> {
    generation: Ticks,
    authentication: &'a Authentication,
    life: &'a Life,
    twin: &'a Twin,
}

impl Device {
    fn part(&self, target: &Target) -> Option<Part<'_>> {
        Some(match &target.module {
            None => Part {
                generation: self.identity.generation,
                authentication: &self.identity.authentication,
                life: &self.life,
                twin: &self.twin,
            },
            Some(module) => {
                let module = self.modules.get(module)?;
                Part {
                    generation: module.identity.generation,
                    authentication: &module.identity.authentication,
                    life: &module.life,
                    twin: &module.twin,
                }
            }
        })
    }

    fn life(&mut self, target: &Target) -> Option<&mut Life> {
        match &target.module {
            None => Some(&mut self.life),
            Some(module) => self.modules.get_mut(module).map(|it| &mut it.life),
        }
    }
}

#[cfg(test)]
mod tests;
