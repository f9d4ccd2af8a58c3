//! The same trouble of the same tenant and hub is told once a minute, with how often it came besides.
//!
//! An outage says the same thing for each device and each attempt. Its first line says all of it; the
//! others only bury what else happens.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Level, Metadata, callsite::Identifier};

use super::fields::Fields;

/// Time between two lines about the same trouble.
pub(super) const EVERY: Duration = Duration::from_secs(60);
/// How many troubles are told apart. Tenants come from outside; what is beyond that is told as it comes.
const MOST: usize = 4_096;

/// The place in the code, and whom or what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Trouble {
    place: Identifier,
    about: [String; ABOUT.len()],
}

/// The fields that make two lines of one place different troubles.
const ABOUT: [&str; 5] = ["tenant", "hub", "integration", "need", "stream"];

#[derive(Debug)]
struct Told {
    at: Instant,
    left_out: u64,
    first: Line,
}

/// What a summary needs of a line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) fields: Fields,
}

/// What was told when.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    told: HashMap<Trouble, Told>,
    looked: Option<Instant>,
}

impl Repeats {
    /// Whether a line is to be told; then, how many like it were left out since the last one.
    pub(super) fn tell(
        &mut self,
        metadata: &'static Metadata<'static>,
        fields: &Fields,
        now: Instant,
    ) -> Option<u64> {
        if *metadata.level() > Level::WARN {
            return Some(0);
        }
        let trouble = Trouble {
            place: metadata.callsite(),
            about: ABOUT.map(|name| fields.text(name).to_owned()),
        };
        if let Some(told) = self.told.get_mut(&trouble) {
            if now.duration_since(told.at) < EVERY {
                told.left_out += 1;
                return None;
            }
            told.at = now;
            return Some(std::mem::take(&mut told.left_out));
        }
        if self.told.len() < MOST {
            let first = Line {
                metadata,
                fields: fields.clone(),
            };
            self.told.insert(
                trouble,
                Told {
                    at: now,
                    left_out: 0,
                    first,
                },
            );
        }
        Some(0)
    }

    /// The troubles that are over: their first line, and how many were left out and never told. Looks
    /// at most once a second.
    pub(super) fn over(&mut self, now: Instant) -> Vec<(Line, u64)> {
        let second = Duration::from_secs(1);
        if self
            .looked
            .is_some_and(|at| now.duration_since(at) < second)
        {
            return Vec::new();
        }
        self.looked = Some(now);
        let is_over = |_: &Trouble, told: &mut Told| now.duration_since(told.at) >= EVERY;
        let over = self.told.extract_if(is_over);
        over.filter(|(_, told)| told.left_out > 0)
            .map(|(_, told)| (told.first, told.left_out))
            .collect()
    }
}
