//! What must hold when nothing is left to do, and the accounts that must be right at any time.

use std::time::Duration;

use lifecycle::{EventId, HubView, MenderView, Status};

use crate::brief;
use crate::oracle::{agrees, is_settled};
use crate::world::{World, hub_number};

impl World {
    /// Whether everything went so well that nothing is left to a sweep.
    fn needs_sweep(&self) -> bool {
        const LEFT_TO_SWEEPS: [&str; 7] = [
            "wake-up lost",
            "store rolled back",
            "event lost",
            "edit by hand",
            "integration changed",
            "deviceauth forgets a device",
            "adopted",
        ];
        let faults = &self.chronicle.faults;
        let seen = &self.chronicle.seen;
        let poison = seen.contains_key("poison");
        // A sweep that is interrupted leaves a record that only the next one takes up.
        poison
            || seen.contains_key("sweep begun")
            || seen.contains_key("command cut off")
            || LEFT_TO_SWEEPS.iter().any(|kind| faults.contains_key(kind))
    }

    /// At rest, before any sweep: the events alone have done it.
    pub(crate) fn check_without_sweep(&mut self) {
        if self.needs_sweep() || !self.ledger.letters().is_empty() {
            return;
        }
        self.chronicle.saw("judged without a sweep");
        self.check_at_rest();
    }

    /// At rest.
    pub(crate) fn check_at_rest(&mut self) {
        let letters = self.ledger.letters();
        self.require(
            letters.is_empty(),
            "S8: a replayed letter died without a reason",
        );
        self.check_accounts();
        for case in 0..self.cases.len() {
            self.check_case(case);
        }
    }

    /// Every event without an outcome is waiting for one, somewhere durable.
    pub(crate) fn check_accounts(&mut self) {
        let account = self.ledger.account();
        self.require(account.is_exact(), "S6: the account is not exact");
        for id in self.ledger.pending() {
            let held = self.queue.holds(&id) || self.is_owed(&id);
            self.require(held, "S6: an event vanished without an outcome");
        }
    }

    fn is_owed(&self, id: &EventId) -> bool {
        let Some(event) = self.ledger.event(id) else {
            return false;
        };
        let case = self.case_of(&event.about);
        self.cases[case].forgotten || self.owes(case, event)
    }

    fn check_case(&mut self, case: usize) {
        let tenant = self.cases[case].tenant;
        let Some(integration) = self.tenants[tenant].integration.clone() else {
            return;
        };
        let hub = hub_number(&integration.hub);
        let here = &self.cases[case];
        let shown = here.places[hub].identity.clone();
        let Some(stored) = here.stored.clone() else {
            let ours = shown.is_some_and(|identity| identity.ours);
            // A device that came while the tenant had no integration is left alone.
            let left_alone = here.created < Some(self.tenants[tenant].since);
            let missing = here.truth == MenderView::Known(Status::Accepted) && !left_alone;
            self.require(!ours, "L4: an identity of ours without a record");
            self.require(!missing, "L7: an accepted device without a record");
            return;
        };
        let record = &stored.record;
        if record.integration.id != integration.id || record.integration.hub != integration.hub {
            return;
        }
        // The store was put back to where it had been given up, and the letter was replayed since.
        if here.forgotten && record.parked.is_some() && record.working.is_none() {
            self.chronicle.saw("given up after a roll-back");
            return;
        }
        let line = brief::record(record);
        self.require(
            is_settled(record),
            &format!("L1: at rest, but not settled: {line}"),
        );
        let left = !record.outbox.is_empty() || record.parked.is_some();
        self.require(!left, &format!("L1: something is left: {line}"));
        self.check_hub(case, hub, &record.hub);
    }

    fn check_hub(&mut self, case: usize, hub: usize, known: &HubView) {
        let here = &self.cases[case];
        let status = match here.truth {
            MenderView::Known(status) => status,
            MenderView::Decommissioning | MenderView::Absent => Status::Decommissioned,
        };
        if here.truth == MenderView::Decommissioning {
            return;
        }
        let shown = here.places[hub].identity.clone();
        let tagged = here.places[hub].tagged.clone();
        let (configured, created) = (here.configured.clone(), here.created);
        let (lives, forgotten) = (here.script.lives, here.forgotten);
        let right = agrees(status, shown.as_ref());
        self.require(
            right,
            &format!("L2: the hub is not as Mender wants it: {status}, {shown:?}"),
        );
        let foreign = shown.as_ref().is_some_and(|identity| !identity.ours);
        let as_foreign = *known == HubView::Foreign;
        self.require(
            as_foreign == foreign || status != Status::Accepted,
            "L2: the record is wrong about who made the identity",
        );
        if status != Status::Accepted || foreign {
            return;
        }
        let made_for = shown.as_ref().and_then(|identity| identity.made_for);
        // Of an identity that only its mark tells of, nobody knows for which incarnation it was made.
        let known = !forgotten && self.tenants[self.cases[case].tenant].changes == 1;
        let newest = lives == 1 || made_for.is_none() || made_for == created || !known;
        self.require(
            newest,
            "S5: the identity was made for an incarnation before",
        );
        let has = configured.filter(|configured| configured.hub == hub);
        let key = has.map(|configured| (configured.generation, configured.key));
        let live = shown
            .as_ref()
            .map(|identity| identity.facts.generation.clone());
        let primary = shown.and_then(|identity| {
            let keys = identity.facts.keys?;
            Some((identity.facts.generation, keys.primary))
        });
        // Put back to before the tenant went to another hub and came back, a record does not know
        // what was delivered there.
        let known = !forgotten || self.tenants[self.cases[case].tenant].changes == 1;
        self.require(
            key == primary || !known,
            "L3, S5: the device has not got the live key",
        );
        self.require(tagged == live, "L3: the twin is not tagged");
    }

    /// Somebody edits what is ours; false if there is nothing of ours.
    pub(crate) fn drift(&mut self) -> bool {
        let mut any = false;
        for case in 0..self.cases.len() {
            let tenant = self.cases[case].tenant;
            let Some(integration) = &self.tenants[tenant].integration else {
                continue;
            };
            let hub = hub_number(&integration.hub);
            let place = &self.cases[case].places[hub];
            let ours = place
                .identity
                .as_ref()
                .is_some_and(|identity| identity.ours);
            if ours && self.rng.chance(30) {
                self.edit_by_hand(case);
                any = true;
            }
        }
        any
    }

    /// How long the last of the records still has to wait before it may be tried again.
    pub(crate) fn longest_wait(&self) -> Duration {
        let records = self.cases.iter().filter_map(|case| case.stored.as_ref());
        let dues = records.filter_map(|stored| stored.record.retry.not_before);
        let now = self.store_now();
        dues.map(|due| due.since(now)).max().unwrap_or_default()
    }

    /// What keeps the run from coming to rest.
    pub(crate) fn whatever_is_left(&self) -> String {
        let records = self.cases.iter().filter_map(|case| {
            let stored = case.stored.as_ref()?;
            let open = !is_settled(&stored.record) || case.alarm.is_some();
            open.then(|| {
                format!(
                    "{}: {}",
                    case.about.to_tokens(),
                    brief::record(&stored.record)
                )
            })
        });
        let records: Vec<String> = records.collect();
        let (queue, under_way) = (self.queue.len(), self.under_way);
        format!(
            "{queue} messages, {under_way} under way; {}",
            records.join("; ")
        )
    }
}
