//! What happened to each request, in order of arrival, for whoever judges a client.
//!
//! An entry is opened when a request arrives and completed as it moves on, so one that never got
//! an answer, or took effect long after its client had gone, is still there with its times. The
//! journal holds no header and no body, hence no secret, and a bounded number of entries.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::dates::Ticks;
use crate::identity::Status;
use crate::operation::Operation;
use crate::registry::Trace;

/// Entries handed out at a time, so that reading a long journal stops nobody for long.
const CHUNK: usize = 1_000;

/// One request. Times are microseconds since the Unix epoch, never the same for two effects.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    /// Its place in the order of arrival, from 1.
    pub(crate) seq: u64,
    pub(crate) method: Box<str>,
    /// The path after percent-decoding.
    pub(crate) path: Box<str>,
    pub(crate) query: Box<str>,
    pub(crate) device: Option<Box<str>>,
    pub(crate) operation: Operation,
    pub(crate) if_match: Option<Box<str>>,
    pub(crate) arrived_us: u64,
    /// When it met the state; `null` if it never did.
    pub(crate) effect_us: Option<u64>,
    /// When its answer was handed to the connection; `null` if it got none.
    pub(crate) replied_us: Option<u64>,
    /// What the client was told; `null` if nothing.
    pub(crate) status: Option<u16>,
    pub(crate) effective: bool,
    pub(crate) etag_before: Option<Box<str>>,
    pub(crate) etag_after: Option<Box<str>>,
    pub(crate) generation_id: Option<Box<str>>,
    pub(crate) identity_status: Option<Status>,
    /// The name of the fault rule that was used on it.
    pub(crate) fault: Option<Box<str>>,
    /// Whether it ended without an answer: by a fault, or because the client had gone.
    pub(crate) dropped: bool,
}

impl Entry {
    /// A request that has just arrived.
    pub(crate) fn arrived(method: &str, path: &str, operation: Operation, now: Ticks) -> Self {
        Self {
            seq: 0,
            method: method.into(),
            path: path.into(),
            query: Box::default(),
            device: None,
            operation,
            if_match: None,
            arrived_us: now.unix_micros(),
            effect_us: None,
            replied_us: None,
            status: None,
            effective: false,
            etag_before: None,
            etag_after: None,
            generation_id: None,
            identity_status: None,
            fault: None,
            dropped: false,
        }
    }

    /// Notes what the client was told, and when.
    pub(crate) fn reply(&mut self, status: u16, now: Ticks) {
        self.replied_us = Some(now.unix_micros());
        self.status = Some(status);
    }

    /// Notes that the client got no answer.
    pub(crate) fn drop_reply(&mut self) {
        self.replied_us = None;
        self.status = None;
        self.dropped = true;
    }

    /// Notes what the request did to its device, and when.
    pub(crate) fn take_effect(&mut self, trace: Trace, now: Ticks) {
        self.effect_us = Some(now.unix_micros());
        self.effective = trace.effective;
        self.etag_before = trace.etag_before.map(String::into_boxed_str);
        self.etag_after = trace.etag_after.map(String::into_boxed_str);
        self.generation_id = trace.generation.map(|it| it.count().to_string().into());
        self.identity_status = trace.status;
    }
}

#[derive(Debug, Default)]
struct Entries {
    /// Consecutive sequence numbers.
    kept: VecDeque<Entry>,
    last_seq: u64,
}

/// The journal of one hub.
#[derive(Debug)]
pub(crate) struct Journal {
    limit: usize,
    entries: Mutex<Entries>,
}

impl Journal {
    /// A journal of at most `limit` entries; the oldest make room.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: Mutex::default(),
        }
    }

    /// Adds an entry and returns its sequence number.
    pub(crate) fn open(&self, entry: Entry) -> u64 {
        let mut entries = self.lock();
        entries.last_seq += 1;
        let seq = entries.last_seq;
        entries.kept.push_back(Entry { seq, ..entry });
        if entries.kept.len() > self.limit {
            entries.kept.pop_front();
        }
        seq
    }

    /// Changes an entry, if it is still there.
    pub(crate) fn amend(&self, seq: u64, change: impl FnOnce(&mut Entry)) {
        let mut entries = self.lock();
        let first = entries.kept.front().map_or(0, |entry| entry.seq);
        let index = seq
            .checked_sub(first)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| entries.kept.get_mut(index)) {
            change(entry);
        }
    }

    /// Forgets everything; sequence numbers go on.
    pub(crate) fn clear(&self) {
        self.lock().kept.clear();
    }

    /// The last sequence number given out.
    pub(crate) fn last_seq(&self) -> u64 {
        self.lock().last_seq
    }

    /// The next lines after `since` and up to `until`, as NDJSON, with the number of the last one.
    /// `None` when there are no more.
    pub(crate) fn lines(&self, since: u64, until: u64) -> Option<(u64, String)> {
        let chunk: Vec<Entry> = {
            let entries = self.lock();
            let from = entries.kept.partition_point(|entry| entry.seq <= since);
            entries
                .kept
                .range(from..)
                .take(CHUNK)
                .take_while(|it| it.seq <= until)
                .cloned()
                .collect()
        };
        let last = chunk.last()?.seq;
        let mut text = String::new();
        for entry in &chunk {
            text +=
                &serde_json::to_string(entry).expect("text keys and plain values always serialize");
            text.push('\n');
        }
        Some((last, text))
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Entries are whole at every step, so a panic elsewhere cannot have left one torn.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const NOW: Ticks = Ticks::from_unix_micros(1_767_225_600_000_000);

    fn entry(path: &str) -> Entry {
        Entry::arrived("GET", path, Operation::TwinRead, NOW)
    }

    fn seqs(journal: &Journal, since: u64) -> Vec<u64> {
        let (mut seqs, mut since) = (vec![], since);
        while let Some((last, text)) = journal.lines(since, u64::MAX) {
            let parse = |line| {
                serde_json::from_str::<Value>(line).unwrap()["seq"]
                    .as_u64()
                    .unwrap()
            };
            seqs.extend(text.lines().map(parse));
            since = last;
        }
        seqs
    }

    #[test]
    fn entries_come_in_order_of_arrival() {
        let journal = Journal::new(10);
        for _ in 0..3 {
            journal.open(entry("/a"));
        }
        assert_eq!(seqs(&journal, 0), [1, 2, 3]);
        assert_eq!(seqs(&journal, 2), [3]);
        assert_eq!(seqs(&journal, 3), [] as [u64; 0]);
    }

    #[test]
    fn the_oldest_entries_make_room_and_late_news_of_them_is_dropped() {
        let journal = Journal::new(2);
        let first = journal.open(entry("/a"));
        journal.open(entry("/b"));
        journal.open(entry("/c"));
        journal.amend(first, |entry| entry.path = "/late".into());
        assert_eq!(seqs(&journal, 0), [2, 3]);
        assert!(!journal.lines(0, 9).unwrap().1.contains("late"));
    }

    #[test]
    fn clearing_forgets_entries_but_not_the_count() {
        let journal = Journal::new(10);
        let old = journal.open(entry("/a"));
        journal.clear();
        journal.amend(old, |entry| entry.status = Some(200));
        assert_eq!(journal.open(entry("/b")), 2);
        assert_eq!(seqs(&journal, 0), [2]);
    }

    #[test]
    fn a_long_journal_is_read_in_pieces_up_to_a_mark() {
        let journal = Journal::new(10_000);
        for _ in 0..2_500 {
            journal.open(entry("/a"));
        }
        assert_eq!(journal.lines(0, u64::MAX).unwrap().0, 1_000);
        assert_eq!(seqs(&journal, 0).len(), 2_500);
        assert_eq!(journal.lines(0, 7).unwrap().0, 7);
    }

    #[test]
    fn a_line_has_every_field_of_the_contract() {
        let journal = Journal::new(1);
        let seq = journal.open(entry("/twins/d1"));
        let trace = Trace {
            effective: true,
            etag_before: Some("a".into()),
            etag_after: Some("b".into()),
            generation: Some(NOW),
            status: Some(Status::Disabled),
        };
        journal.amend(seq, |entry| entry.take_effect(trace, NOW));
        assert_eq!(
            journal.lines(0, 1).unwrap().1,
            "{\"seq\":1,\"method\":\"GET\",\"path\":\"/twins/d1\",\"query\":\"\",\"device\":null,\"operation\":\"twin-read\",\"if_match\":null,\"arrived_us\":1767225600000000,\"effect_us\":1767225600000000,\"replied_us\":null,\"status\":null,\"effective\":true,\"etag_before\":\"a\",\"etag_after\":\"b\",\"generation_id\":\"639028224000000000\",\"identity_status\":\"disabled\",\"fault\":null,\"dropped\":false}\n"
        );
    }
}
