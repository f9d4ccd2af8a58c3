//! Who plays what: the fleet, and the life that each of its devices leads.
//!
//! Lives are dealt out by index, so that a fleet of any size holds every one of them and the same
//! number of devices gives the same fleet. What a device was told last decides what the hub should
//! hold; what it was ever told decides whether there may be an identity at all.

use black_box::evidence::Status;
use serde::Serialize;

/// Devices whose events are shuffled and published together.
const SQUAD: usize = 20_000;

/// The statuses of one device, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Accepted, and stays so.
    Kept,
    /// Accepted, then rejected.
    Rejected,
    /// Accepted, rejected, and accepted again.
    Returned,
    /// Accepted, then dismissed: its authentication set is deleted.
    Dismissed,
    /// Accepted, then decommissioned.
    Retired,
    /// Rejected without ever being accepted, then decommissioned.
    Refused,
    /// Waits for somebody to decide.
    Waiting,
    /// Preauthorized, and never seen.
    Expected,
}

impl Life {
    const ALL: [Self; 8] = [
        Self::Kept,
        Self::Rejected,
        Self::Returned,
        Self::Dismissed,
        Self::Retired,
        Self::Refused,
        Self::Waiting,
        Self::Expected,
    ];

    /// The life of the device with this index: the first ones have one each, the others as the
    /// shares say.
    pub(super) fn of(index: usize) -> Self {
        if let Some(life) = Self::ALL.get(index) {
            return *life;
        }
        // 37 and 100 have no common factor: each hundred devices have every remainder once.
        let mut rest = index * 37 % 100;
        for life in Self::ALL {
            if rest < life.share() {
                return life;
            }
            rest -= life.share();
        }
        Self::Kept
    }

    /// How many of a hundred devices lead it.
    const fn share(self) -> usize {
        match self {
            Self::Kept => 40,
            Self::Rejected | Self::Returned | Self::Retired => 12,
            Self::Dismissed => 10,
            Self::Refused => 6,
            Self::Waiting | Self::Expected => 4,
        }
    }

    /// What Mender says of it, in order.
    pub(super) const fn statuses(self) -> &'static [Status] {
        use Status::{Accepted, Decommissioned, Noauth, Pending, Preauthorized, Rejected};
        match self {
            Self::Kept => &[Accepted],
            Self::Rejected => &[Accepted, Rejected],
            Self::Returned => &[Accepted, Rejected, Accepted],
            Self::Dismissed => &[Accepted, Noauth],
            Self::Retired => &[Accepted, Decommissioned],
            Self::Refused => &[Rejected, Decommissioned],
            Self::Waiting => &[Pending],
            Self::Expected => &[Preauthorized],
        }
    }

    /// The status that Mender tells of when it first hears of the device; the others begin pending,
    /// which nobody is told.
    pub(super) const fn born(self) -> Option<Status> {
        match self {
            Self::Waiting => Some(Status::Pending),
            Self::Expected => Some(Status::Preauthorized),
            _ => None,
        }
    }

    /// Whether it was ever accepted: no other status makes an identity.
    pub(super) fn was_accepted(self) -> bool {
        self.statuses().contains(&Status::Accepted)
    }
}

/// One device of the fleet.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) life: Life,
}

/// A change of one device's status, as the simulator takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    pub(super) id: String,
    pub(super) status: Status,
}

/// All devices.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) members: Vec<Member>,
}

impl Fleet {
    /// A fleet of so many devices: ids are taken from `born` for those whose first status is told
    /// when they are made, from `quiet` for the others. Devices without id are left out.
    pub(super) fn of(devices: usize, born: Vec<String>, quiet: Vec<String>) -> Self {
        let (mut born, mut quiet) = (born.into_iter(), quiet.into_iter());
        let member = |index| {
            let life = Life::of(index);
            let ids = if life.born().is_some() {
                &mut born
            } else {
                &mut quiet
            };
            ids.next().map(|id| Member { id, life })
        };
        let members = (0..devices).filter_map(member).collect();
        Self { members }
    }

    /// The fleet in parts of which each is told of at once, so that no order to the simulator grows
    /// with the fleet.
    pub(super) fn squads(&self) -> impl Iterator<Item = Squad<'_>> {
        self.members.chunks(SQUAD).map(Squad)
    }

    /// How many get an identity at some time, if nobody is overtaken by his own next event.
    pub(super) fn creations(&self) -> u64 {
        let accepted = self.members.iter().filter(|it| it.life.was_accepted());
        accepted.count() as u64
    }
}

/// A part of the fleet.
pub(super) struct Squad<'a>(&'a [Member]);

impl Squad<'_> {
    /// The changes of one round, the first being 0. What is told when a device is made is no change,
    /// nor is a decommission.
    pub(super) fn changes(&self, round: usize) -> Vec<Change> {
        let change = |member: &Member| {
            let status = *member.life.statuses().get(round)?;
            let changes = member.life.born() != Some(status) && status != Status::Decommissioned;
            changes.then(|| Change {
                id: member.id.clone(),
                status,
            })
        };
        self.0.iter().filter_map(change).collect()
    }

    /// The ids of those who are decommissioned in the end.
    pub(super) fn leavers(&self) -> Vec<String> {
        let gone =
            |member: &&Member| member.life.statuses().last() == Some(&Status::Decommissioned);
        let members = self.0.iter().filter(gone);
        members.map(|member| member.id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(devices: usize) -> Fleet {
        let ids = |kind: &str| (0..devices).map(|id| format!("{kind}-{id}")).collect();
        Fleet::of(devices, ids("born"), ids("quiet"))
    }

    fn share(fleet: &Fleet, life: Life) -> usize {
        fleet.members.iter().filter(|it| it.life == life).count()
    }

    #[test]
    fn the_smallest_fleet_holds_every_life() {
        let fleet = fleet(10);
        for life in Life::ALL {
            assert!(share(&fleet, life) > 0, "{life:?}");
        }
    }

    #[test]
    fn shares_add_up_and_are_kept() {
        assert_eq!(Life::ALL.map(Life::share).iter().sum::<usize>(), 100);
        let fleet = fleet(1_000);
        for life in Life::ALL {
            let wanted = life.share() * 10;
            assert!(share(&fleet, life).abs_diff(wanted) <= 5, "{life:?}");
        }
    }

    #[test]
    fn every_status_of_every_life_is_said_once() {
        let fleet = fleet(500);
        let squad = fleet.squads().next().unwrap();
        let changes: usize = (0..3).map(|round| squad.changes(round).len()).sum();
        let said: usize = fleet
            .members
            .iter()
            .map(|it| it.life.statuses().len())
            .sum();
        let born = fleet.members.iter().filter(|it| it.life.born().is_some());
        assert_eq!(changes + squad.leavers().len() + born.count(), said);
        assert!(squad.changes(3).is_empty());
    }

    #[test]
    fn squads_are_the_whole_fleet() {
        let fleet = fleet(SQUAD + 5);
        let sizes: Vec<_> = fleet.squads().map(|squad| squad.0.len()).collect();
        assert_eq!(sizes, [SQUAD, 5]);
    }

    #[test]
    fn ids_come_from_the_right_list() {
        for member in fleet(200).members {
            let born = member.id.starts_with("born-");
            assert_eq!(born, member.life.born().is_some(), "{member:?}");
        }
    }

    #[test]
    fn who_was_never_accepted_is_never_created() {
        let fleet = fleet(8);
        assert_eq!(fleet.creations(), 5);
    }
}
