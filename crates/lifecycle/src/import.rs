//! Identities that another service made for devices of Mender, and that become ours by import.
//!
//! They bear no mark of ours and get none: an import changes nothing in the hub. Once their
//! generation is in the record it proves that they are ours, as it does for those that we made.

use crate::{DeviceRef, Event, EventId, Facts, HubView, IntegrationRef, Made, Record, Wanted};

impl Record {
    /// The first record of a device whose identity somebody made and tagged for Mender, after they
    /// had delivered its connection string. `look` tells what Mender says of the device.
    ///
    /// The record is settled where the hub is as Mender wants it, so that nothing is written and
    /// nothing delivered. Else it owes the look, and the next wake-up does what is missing.
    #[must_use]
    pub fn imported(look: &Event, integration: &IntegrationRef, facts: &Facts) -> Self {
        let mut record = Self::first(look, integration);
        record.own(&look.about, look.id.clone(), facts);
        record
    }

    /// The same where a record is there already, since a worker has met the identity and left it
    /// alone as foreign. What events have said of the device stays.
    ///
    /// False, and nothing is changed, where the record is being worked on or is about something
    /// else.
    pub fn import(&mut self, about: &DeviceRef, look: EventId, facts: &Facts) -> bool {
        let at_rest = self.is_settled() && self.outbox.is_empty() && self.parked.is_none();
        if self.hub != HubView::Foreign || !at_rest {
            return false;
        }
        self.own(about, look, facts);
        true
    }

    fn own(&mut self, about: &DeviceRef, look: EventId, facts: &Facts) {
        self.made = Some(Made {
            generation: facts.generation.clone(),
            intent: facts.mark.as_ref().map(|mark| mark.intent.clone()),
            incarnation: self.key.incarnation,
        });
        self.hub = HubView::Ours {
            generation: facts.generation.clone(),
            etag: facts.etag.clone(),
            enabled: facts.enabled,
        };
        self.delivery.delivered = Some(facts.generation.clone());
        self.delivery.tagged = Some(facts.generation.clone());
        let keys = facts.keys.as_ref();
        self.delivery.fingerprint = keys.map(|keys| keys.primary.clone());
        self.delivery.other = keys.map(|keys| keys.secondary.clone());
        self.confirmed = true;
        let in_step = match self.wanted() {
            Wanted::Enabled => facts.enabled,
            Wanted::Disabled => !facts.enabled,
            Wanted::Absent => false,
        };
        if !in_step {
            self.doubt(about, look);
        }
    }
}
