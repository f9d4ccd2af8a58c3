//! In what mood the hubs are: what becomes of a request at their door, and on its way.

use std::time::Duration;

use lifecycle::{Failure, Fate};

use crate::hub::{Course, OneHub, silent};
use crate::mutant::Mutant;
use crate::world::{Trouble, World};

impl World {
    /// A request meets the hub's door.
    pub(crate) fn ask(&mut self, hub: &OneHub) -> Result<(), (Failure, Fate)> {
        let trouble = self.tenants[hub.tenant].trouble[hub.hub()];
        if let Some((trouble, until)) = trouble
            && until > tokio::time::Instant::now()
        {
            self.chronicle.fault(trouble.kind());
            return Err(trouble.failure());
        }
        if self.rng.chance(self.faults.permanent) {
            self.chronicle.fault("400");
            return Err((Failure::Permanent("400".into()), Fate::Done));
        }
        if !self.rng.chance(self.faults.refusal) {
            return Ok(());
        }
        let wait = Duration::from_secs(30);
        let (kind, failure, fate) = match self.rng.below(6) {
            0 => ("429", Failure::Throttled { wait: None }, Fate::Done),
            1 => ("429", Failure::Throttled { wait: Some(wait) }, Fate::Done),
            2 => ("403 hub full", Failure::Full("403".into()), Fate::Done),
            3 => ("412", Failure::Conflict, Fate::Done),
            4 => ("500", Failure::Transient("500".into()), Fate::Unknown),
            _ => ("503", Failure::Transient("503".into()), Fate::Done),
        };
        self.chronicle.fault(kind);
        Err((failure, fate))
    }

    /// A request that never arrives.
    pub(crate) fn dropped(&self) -> Course {
        Course {
            after: None,
            replies: false,
            patience: self.time_out(),
        }
    }

    pub(crate) fn course(&mut self) -> Course {
        let time_out = self.time_out();
        let usual = Course {
            after: Some(self.latency().unwrap_or_default().min(time_out)),
            replies: true,
            patience: time_out,
        };
        if !self.rng.chance(self.faults.network) {
            return usual;
        }
        match self.rng.below(6) {
            0..=2 => {
                self.chronicle.fault("late effect");
                Course {
                    after: Some(self.rng.time(time_out)),
                    patience: self.rng.time(time_out),
                    ..usual
                }
            }
            3 => {
                self.chronicle.fault("request lost");
                self.dropped()
            }
            _ => {
                self.chronicle.fault("reply lost");
                Course {
                    replies: false,
                    patience: self.rng.time(time_out),
                    ..usual
                }
            }
        }
    }

    pub(crate) fn as_a_mutant(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Credentials(text) if self.is_mutant(Mutant::IgnoresSuspension) => {
                Failure::Transient(text)
            }
            other => other,
        }
    }

    pub(crate) fn lost_reply(&mut self) -> Option<Failure> {
        let percent = self.faults.network / 3;
        let lost = self.rng.chance(percent);
        lost.then(|| {
            self.chronicle.fault("reply lost");
            silent().0
        })
    }
}

impl Trouble {
    pub(crate) const ALL: [Self; 6] = [
        Self::Refuses,
        Self::Silent,
        Self::Broken,
        Self::Unauthorized,
        Self::Full,
        Self::Busy,
    ];

    const fn kind(self) -> &'static str {
        match self {
            Self::Refuses => "hub away",
            Self::Silent => "hub silent",
            Self::Broken => "hub broken",
            Self::Unauthorized => "401",
            Self::Full => "403 hub full",
            Self::Busy => "429",
        }
    }

    fn failure(self) -> (Failure, Fate) {
        match self {
            Self::Refuses => (Failure::Transient("refused".into()), Fate::Done),
            Self::Silent => silent(),
            Self::Broken => (Failure::Transient("502".into()), Fate::Unknown),
            Self::Unauthorized => (Failure::Credentials("401".into()), Fate::Done),
            Self::Full => (Failure::Full("403".into()), Fate::Done),
            Self::Busy => (Failure::Throttled { wait: None }, Fate::Done),
        }
    }
}
