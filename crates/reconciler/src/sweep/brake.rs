//! The brake: what disables or deletes waits until the whole tenant was looked at.
//!
//! A wrong answer about one device is bad luck; about a tenth of a fleet at once it is a restored
//! backup, the wrong database or somebody else's server. Then nothing of it is done.

use lifecycle::{DeviceRef, Event};

/// More than this is never remembered; then it is too much whatever the fleet.
const MOST: usize = 50_000;

/// Something to be done about a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Repair {
    /// Publish this event.
    Tell(Event),
    /// Doubt the record.
    Doubt(DeviceRef, String),
}

/// Repairs that are held back, with a count of all there would have been.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    held: Vec<Repair>,
    all: usize,
}

impl Brake {
    pub(crate) fn hold(&mut self, repair: Repair) {
        self.all += 1;
        if self.held.len() < MOST {
            self.held.push(repair);
        }
    }

    /// The repairs to make for a fleet of this size, or how many there would be: too many.
    pub(crate) fn release(
        self,
        fleet: u64,
        permille: u32,
        least: usize,
    ) -> Result<Vec<Repair>, usize> {
        let share = fleet.saturating_mul(u64::from(permille)) / 1000;
        let most = usize::try_from(share).unwrap_or(MOST).max(least).min(MOST);
        if self.all > most {
            Err(self.all)
        } else {
            Ok(self.held)
        }
    }

    /// All that is remembered, however many there are.
    pub(crate) fn force(self) -> Vec<Repair> {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(count: usize) -> Brake {
        let mut brake = Brake::default();
        for n in 0..count {
            let about = DeviceRef {
                tenant: lifecycle::TenantId::default(),
                device: format!("d{n}").parse().unwrap(),
            };
            brake.hold(Repair::Doubt(about, String::new()));
        }
        brake
    }

    #[test]
    fn a_tenth_passes_and_more_does_not() {
        assert_eq!(
            held(100).release(1000, 100, 20).map(|all| all.len()),
            Ok(100)
        );
        assert_eq!(held(101).release(1000, 100, 20), Err(101));
    }

    #[test]
    fn small_fleets_are_not_stopped_by_a_handful() {
        assert_eq!(held(20).release(20, 100, 20).map(|all| all.len()), Ok(20));
        assert_eq!(held(21).release(20, 100, 20), Err(21));
    }

    #[test]
    fn what_is_forgotten_is_still_counted() {
        assert_eq!(held(MOST + 1).release(u64::MAX, 1000, 20), Err(MOST + 1));
    }
}
