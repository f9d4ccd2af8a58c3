//! A hub of one identity, with ETags, generations and marks, and the requests on their way to it.

use lifecycle::{Facts, Failure, Fate, HubWrite, Key, Mark, Timestamp};

/// What the hub holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) facts: Facts,
    /// One of our creates made it: the truth that marks and generations stand for.
    pub(crate) ours: bool,
    /// The incarnation of the event that it was made for.
    pub(crate) made_for: Option<Timestamp>,
}

/// A request that was sent and may still take effect.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) request: HubWrite,
    /// Key of its intent.
    pub(crate) key: Key,
    /// Version of the record that first held its intent.
    pub(crate) stored: u64,
    /// It takes effect until then, or never.
    pub(crate) deadline: Timestamp,
    /// The worker that waits for the answer, if one still does: its place and its life.
    pub(crate) caller: Option<(usize, u64)>,
}

#[derive(Debug, Default)]
pub(crate) struct Hub {
    pub(crate) identity: Option<Identity>,
    pub(crate) flights: Vec<Flight>,
    count: u64,
}

impl Hub {
    fn fresh(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Somebody else makes, replaces or edits an identity.
    pub(crate) fn place_by_hand(&mut self, mark: Option<Mark>) {
        let n = self.fresh();
        self.identity = Some(Identity {
            facts: Facts {
                generation: format!("hand-{n}"),
                etag: format!("e{n}"),
                enabled: n.is_multiple_of(2),
                mark,
                keys: None,
            },
            ours: false,
            made_for: None,
        });
    }

    /// Takes a request; `Ok(true)` if it changed something.
    pub(crate) fn take_effect(
        &mut self,
        request: &HubWrite,
        key: &Key,
    ) -> Result<bool, (Failure, Fate)> {
        let n = self.fresh();
        let etag = format!("e{n}");
        match (request, &mut self.identity) {
            (HubWrite::Create { mark, .. }, place @ None) => {
                let facts = Facts {
                    generation: format!("g{n}"),
                    etag,
                    enabled: true,
                    mark: Some(mark.clone()),
                    keys: None,
                };
                *place = Some(Identity {
                    facts,
                    ours: true,
                    made_for: key.incarnation,
                });
            }
            (
                HubWrite::Update {
                    etag: held, enable, ..
                },
                Some(identity),
            ) if *held == identity.facts.etag => {
                identity.facts.enabled = *enable;
                identity.facts.etag = etag;
            }
            (HubWrite::Delete { etag: held, .. }, place @ Some(_))
                if place
                    .as_ref()
                    .is_some_and(|identity| identity.facts.etag == *held) =>
            {
                *place = None;
            }
            (HubWrite::Delete { .. }, None) => return Ok(false),
            _ => return Err((Failure::Conflict, Fate::Done)),
        }
        Ok(true)
    }

    pub(crate) fn facts(&self) -> Option<Facts> {
        self.identity
            .as_ref()
            .map(|identity| identity.facts.clone())
    }
}
