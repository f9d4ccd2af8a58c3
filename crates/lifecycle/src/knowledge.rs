//! How a hub reply changes what a record knows.

use std::cmp::Ordering;

use crate::{
    Delivery, Facts, HubView, IntegrationRef, Intent, Key, Made, Op, Record, Retry, Timestamp,
};

impl Retry {
    /// A request did what it should: later trouble starts counting anew.
    pub(crate) fn succeeded(&mut self) {
        self.attempt = 0;
        self.conflicts = 0;
        self.last_error = None;
    }
}

impl Record {
    /// There is nothing to do. What was loaded may be older than the work that somebody was called
    /// for, so this is made known by a compare-and-set. What is in the outbox will be taken out of
    /// it by one anyway: with two of them, two workers could rob each other for ever.
    pub(crate) fn looked_in_vain(&mut self) {
        if self.outbox.is_empty() {
            self.retry.idle_looks = self.retry.idle_looks.wrapping_add(1);
        }
    }

    pub(crate) fn work_changed(&mut self) {
        if let Some(working) = &mut self.working {
            working.changed = true;
        }
    }

    pub(crate) fn live_generation(&self) -> Option<String> {
        match &self.hub {
            HubView::Ours { generation, .. } => Some(generation.clone()),
            HubView::Unknown | HubView::Absent | HubView::Foreign => None,
        }
    }

    /// The newest incarnation that a decommission has closed, if the record is closed at all.
    pub(crate) fn closed_incarnation(&self) -> Option<Timestamp> {
        self.closed.or(self.key.incarnation)
    }

    /// If `key` begins a newer incarnation, what was made without knowing one was made for the
    /// one that ends.
    pub(crate) fn outlive(&mut self, key: &Key) {
        if key.compare_incarnation(&self.key) != Ordering::Greater {
            return;
        }
        if let Some(made) = &mut self.made {
            made.incarnation = made.incarnation.or(self.key.incarnation);
        }
        for intent in &mut self.intents {
            intent.key = intent.key.learn(&self.key);
        }
    }

    /// Adopts the tenant's present integration. What was known of another hub is void, except
    /// what may still be under way: the integration may come back, and a delivery reaches the
    /// same device from any hub.
    pub(crate) fn move_to(&mut self, integration: &IntegrationRef) {
        if self.integration.hub != integration.hub || self.integration.id != integration.id {
            self.hub = HubView::Unknown;
            self.confirmed = false;
            self.made = None;
            self.rotation = None;
            for intent in &mut self.intents {
                intent.elsewhere = true;
            }
            // What was given up at one hub is not given up at another; a letter that is due stays due.
            if self.working.is_none() {
                self.parked = None;
            }
            self.delivery = Delivery {
                claim: self.delivery.claim.take(),
                ..Delivery::default()
            };
        }
        if self.integration != *integration {
            self.integration = integration.clone();
        }
    }

    /// Takes over what a reply showed.
    pub(crate) fn see(&mut self, found: Option<&Facts>) {
        let Some(facts) = found else {
            self.hub = HubView::Absent;
            return;
        };
        if !self.is_ours(facts) {
            self.hub = HubView::Foreign;
            return;
        }
        if self
            .made
            .as_ref()
            .is_none_or(|made| made.generation != facts.generation)
        {
            let mark = facts.mark.as_ref().map(|mark| &mark.intent);
            self.rotation = None;
            let create = self.intents.iter().find(|intent| Some(&intent.id) == mark);
            self.made = Some(Made {
                generation: facts.generation.clone(),
                intent: mark.cloned(),
                incarnation: create.and_then(|intent| intent.key.incarnation),
            });
        }
        self.hub = HubView::Ours {
            generation: facts.generation.clone(),
            etag: facts.etag.clone(),
            enabled: facts.enabled,
        };
    }

    /// Forgets the intents that what was `found` proves to be over: a create whose mark is
    /// there, a change of this hub's identity whose ETag has moved on, and those that are `expired`.
    pub(crate) fn close_dead_intents(
        &mut self,
        found: Option<&Facts>,
        expired: impl Fn(&Intent) -> bool,
    ) {
        let landed = found
            .and_then(|facts| facts.mark.as_ref())
            .map(|mark| mark.intent.clone());
        let etag_now = found.map(|facts| facts.etag.as_str());
        self.intents.retain(|intent| match &intent.op {
            Op::Create => Some(&intent.id) != landed.as_ref() && !expired(intent),
            Op::Update { etag, .. } | Op::Keys { etag, .. } | Op::Delete { etag } => {
                (intent.elsewhere || etag_now == Some(etag.as_str())) && !expired(intent)
            }
        });
    }
}
