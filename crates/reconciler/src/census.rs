//! Records counted by what is wanted and what is.

use lifecycle::{HubView, Record, Wanted};
use serde::{Deserialize, Serialize};

/// What the hub has of a device, as its record knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InHub {
    /// Nobody has looked yet.
    Unknown,
    /// Nothing.
    Absent,
    /// An identity of ours that may connect.
    Enabled,
    /// An identity of ours that may not.
    Disabled,
    /// An identity of somebody else.
    Foreign,
}

/// How far the work on a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// The hub is as Mender wants it.
    Settled,
    /// Something is still to be done.
    Working,
    /// It was given up; there is a dead letter.
    Parked,
}

/// So many records are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CensusRow {
    /// What Mender wants.
    pub wanted: Wanted,
    /// What the hub has.
    pub hub: InHub,
    /// How far the work is.
    pub state: Progress,
    /// How many records are so.
    pub records: u64,
}

/// Records, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Census(Vec<CensusRow>);

impl InHub {
    /// What a record knows.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        match &record.hub {
            HubView::Unknown => Self::Unknown,
            HubView::Absent => Self::Absent,
            HubView::Ours { enabled: true, .. } => Self::Enabled,
            HubView::Ours { enabled: false, .. } => Self::Disabled,
            HubView::Foreign => Self::Foreign,
        }
    }
}

impl Progress {
    /// How far the work on a record is.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        if record.parked.is_some() {
            Self::Parked
        } else if record.is_settled() {
            Self::Settled
        } else {
            Self::Working
        }
    }
}

impl Census {
    /// Counts one record.
    pub fn count(&mut self, record: &Record) {
        self.add(CensusRow {
            wanted: record.wanted(),
            hub: InHub::of(record),
            state: Progress::of(record),
            records: 1,
        });
    }

    /// Adds those of another.
    pub fn extend(&mut self, other: &Self) {
        for row in &other.0 {
            self.add(*row);
        }
    }

    /// The rows, in no order.
    #[must_use]
    pub fn rows(&self) -> &[CensusRow] {
        &self.0
    }

    /// How many records were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|row| row.records).sum()
    }

    // There are at most 45 rows, so looking through them is quick.
    fn add(&mut self, one: CensusRow) {
        let alike = |row: &&mut CensusRow| {
            (row.wanted, row.hub, row.state) == (one.wanted, one.hub, one.state)
        };
        match self.0.iter_mut().find(alike) {
            Some(row) => row.records += one.records,
            None => self.0.push(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: Progress, records: u64) -> CensusRow {
        CensusRow {
            wanted: Wanted::Enabled,
            hub: InHub::Enabled,
            state,
            records,
        }
    }

    #[test]
    fn what_is_alike_is_one_row() {
        let mut census = Census::default();
        census.add(row(Progress::Settled, 2));
        census.add(row(Progress::Working, 1));
        let mut all = census.clone();
        all.extend(&census);
        assert_eq!(
            all.rows(),
            [row(Progress::Settled, 4), row(Progress::Working, 2)]
        );
        assert_eq!(all.total(), 6);
    }

    #[test]
    fn it_survives_being_stored() {
        let mut census = Census::default();
        census.add(row(Progress::Parked, 7));
        let text = serde_json::to_string(&census).unwrap();
        assert_eq!(
            text,
            r#"[{"wanted":"enabled","hub":"enabled","state":"parked","records":7}]"#
        );
        assert_eq!(serde_json::from_str::<Census>(&text).unwrap(), census);
    }
}
