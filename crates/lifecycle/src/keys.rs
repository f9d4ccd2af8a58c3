//! Changing the keys of an identity while its device stays online.
//!
//! A hub accepts either of an identity's two keys, and the device holds one of them. The other one,
//! the secondary, is renewed first; the device is given it; then the two change places, so that the
//! primary key is the one in the device's hands again. The old key works until somebody who has
//! seen the device connect with the new one says that it shall end. No step replaces the key that
//! the device was given last, and each may be repeated.

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::{Device, DeviceRef, EventId, Op, Record};

/// Fingerprints of an identity's two keys, never the keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Keys {
    /// Of the primary key.
    pub primary: String,
    /// Of the secondary key.
    pub secondary: String,
}

/// One of an identity's two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySlot {
    /// The one that is delivered unless keys are being rotated.
    #[default]
    Primary,
    /// The other one.
    Secondary,
}

/// How a request changes the keys of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyChange {
    /// A new secondary key takes the place of the present one.
    RenewSecondary,
    /// The two keys change places.
    Swap,
}

/// The next step of a change of keys that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// A new secondary key is made.
    Renew,
    /// The device is given the secondary key.
    Deliver,
    /// The keys change places.
    Swap,
    /// The secondary key, which the device does not need any more, is replaced.
    End,
}

/// What somebody may ask for besides what Mender says of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// The connection string, once more.
    Delivery,
    /// A new key for the device, while the old one still works.
    NewKey,
    /// That the old key works no more.
    EndOldKey,
}

impl Record {
    /// As [`Record::doubt`], and what was wished for happens to an identity of ours that is wanted
    /// enabled. A rotation that has begun goes on where it is.
    pub fn grant(&mut self, wish: Wish, about: &DeviceRef, look: EventId) -> bool {
        if !self.doubt(about, look) {
            return false;
        }
        if wish == Wish::Delivery || self.key_in_hand().is_none() {
            self.delivery.delivered = None;
        }
        match wish {
            Wish::Delivery => {}
            Wish::NewKey => drop(self.rotation.get_or_insert(Rotation::Renew)),
            Wish::EndOldKey => drop(self.rotation.get_or_insert(Rotation::End)),
        }
        true
    }

    /// The key that a delivery hands over now.
    pub(crate) fn key_to_deliver(&self) -> KeySlot {
        match self.rotation {
            Some(Rotation::Deliver | Rotation::Swap) => KeySlot::Secondary,
            None | Some(Rotation::Renew | Rotation::End) => KeySlot::Primary,
        }
    }

    /// A request changed the keys.
    pub(crate) fn keys_changed(&mut self, change: KeyChange) {
        if change == KeyChange::RenewSecondary {
            self.delivery.other = None;
        }
        match (change, self.rotation) {
            (KeyChange::RenewSecondary, Some(Rotation::Renew)) => {
                self.rotation = Some(Rotation::Deliver);
                self.delivery.delivered = None;
            }
            (KeyChange::RenewSecondary, Some(Rotation::End)) => self.rotation = None,
            _ => {}
        }
    }

    /// Fingerprint of the key that the live identity's device was given last.
    fn key_in_hand(&self) -> Option<&String> {
        let delivered = self.delivery.delivered.as_ref()?;
        let is_live = self.live_generation().as_ref() == Some(delivered);
        self.delivery.fingerprint.as_ref().filter(|_| is_live)
    }
}

/// Takes note of what the keys at hand say: a rotation is complete, or somebody else has changed a key, so that
/// the device needs the connection string once more.
///
/// That is so if the key that it was given is gone. It is also so if the other one is new and nobody knows why: this
/// record may have been put back in time, and the device be holding a key that was made since. It must not be renewed
/// under the device's hands.
pub(crate) fn look_at_keys(device: &mut Device) {
    let Some(record) = &mut device.record else {
        return;
    };
    if device.held.is_none() || record.live_generation().is_none() {
        return;
    }
    let Some(keys) = &device.keys else {
        // There are no keys to rotate.
        record.rotation = None;
        return;
    };
    let Some(in_hand) = record.key_in_hand() else {
        return;
    };
    let on_primary = *in_hand == keys.primary;
    if !on_primary && *in_hand != keys.secondary {
        record.rotation = None;
        record.delivery.delivered = None;
        return;
    }
    let other = if on_primary {
        record.rotation = record.rotation.filter(|step| *step != Rotation::Swap);
        &keys.secondary
    } else {
        &keys.primary
    };
    let known = record.delivery.other.replace(other.clone());
    if known.is_some_and(|known| known != *other) {
        record.delivery.delivered = None;
        record.rotation = after_a_new_key(record.rotation, on_primary);
    }
}

/// How a rotation goes on where the key that the device was not given is new, and nobody knows why. A new
/// secondary key, be it the one of a request whose answer was lost, need not be made again: two workers that
/// did could have no end. Nor is there an old one left to end.
fn after_a_new_key(rotation: Option<Rotation>, secondary: bool) -> Option<Rotation> {
    match rotation {
        Some(Rotation::Renew) if secondary => Some(Rotation::Deliver),
        Some(Rotation::End) if secondary => None,
        Some(step @ (Rotation::Renew | Rotation::End)) => Some(step),
        None | Some(Rotation::Deliver | Rotation::Swap) => None,
    }
}

/// What is to be done for a rotation before anything is delivered or settled.
pub(crate) fn rotate(device: &Device, record: &Record, etag: &str) -> Option<Plan> {
    let step = record.rotation.filter(|_| record.status.creates())?;
    if step == Rotation::Deliver || record.key_in_hand().is_none() {
        return None;
    }
    let keys = device.keys.as_ref();
    let Some(keys) = keys.filter(|_| device.held.as_deref() == Some(etag)) else {
        return Some(Plan::Read);
    };
    let on_primary = record.key_in_hand() == Some(&keys.primary);
    let change = if on_primary {
        KeyChange::RenewSecondary
    } else {
        KeyChange::Swap
    };
    Some(Plan::Write(Op::Keys {
        etag: etag.to_owned(),
        change,
    }))
}
