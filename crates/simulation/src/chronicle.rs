//! What happened in one run: counts, a hash of everything, and on request the story in words.

use std::collections::BTreeMap;

/// The story of a run.
#[derive(Debug, Default)]
pub(crate) struct Chronicle {
    /// Faults, by kind.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Things that runs are for, by kind.
    pub(crate) seen: BTreeMap<&'static str, u64>,
    /// What broke first.
    pub(crate) violation: Option<String>,
    /// What happened, in words.
    pub(crate) story: Vec<String>,
    telling: bool,
    hash: u64,
}

impl Chronicle {
    /// A chronicle that tells the story in words too, if `telling`.
    pub(crate) fn new(telling: bool) -> Self {
        Self {
            telling,
            hash: 0xCBF2_9CE4_8422_2325,
            ..Self::default()
        }
    }

    /// Something happened at this time to this number; two runs alike have the same hash.
    pub(crate) fn stamp(&mut self, micros: u64, what: &str, number: u64) {
        let mut add = |value: u64| {
            self.hash = (self.hash ^ value)
                .wrapping_mul(0x0100_0000_01B3)
                .rotate_left(23);
        };
        add(micros);
        add(number);
        what.bytes().for_each(|byte| add(u64::from(byte)));
    }

    /// Hash of everything so far.
    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    pub(crate) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub(crate) const fn is_telling(&self) -> bool {
        self.telling
    }

    pub(crate) fn tell(&mut self, micros: u64, line: &str) {
        let (seconds, millis) = (micros / 1_000_000, micros / 1000 % 1000);
        self.story.push(format!("{seconds:>7}.{millis:03} {line}"));
    }
}
