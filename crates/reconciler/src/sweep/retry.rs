//! Taking up again what was given up, because an operator says so.
//!
//! A dead letter does that when it is replayed. Where none is left, an event of our own does, which says
//! nothing new and that it is a replay.

use lifecycle::{DeviceRef, Event, EventId, Record, Status};

use super::pass::Sweeper;
use super::{Notebook, Notices, Registry, Seen, judge};
use crate::ports::{DeviceStore, PortResult, Streams};

/// What becomes of a device that an operator wants to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It was given up. An event has it taken up.
    TakenUp,
    /// It was not given up; a worker looks at it all the same.
    LookedAt,
    /// Nothing is done, and why.
    Left(&'static str),
}

/// Whether work was given up and nobody is at it any more.
#[must_use]
pub fn is_given_up(record: &Record) -> bool {
    record.parked.is_some() && record.working.is_none()
}

impl<S, R, T, N> Sweeper<S, R, T, N>
where
    S: DeviceStore,
    R: Registry,
    T: Streams + Notices,
    N: Notebook,
{
    /// Has a device tried again of which Mender was just `seen` to say so much; with `dry_run` only tells
    /// what would be done. `name` begins the name of the event or look.
    ///
    /// It may be repeated: what is taken up already is only looked at.
    pub async fn retry(
        &self,
        about: &DeviceRef,
        seen: &Seen,
        name: &str,
        dry_run: bool,
    ) -> PortResult<Retried> {
        let Some(stored) = self.load(about).await? else {
            return Ok(Retried::Left("there is no record of it"));
        };
        if is_given_up(&stored.record) {
            let id = EventId(format!("{name}{}", (self.fresh)()));
            return match revival(&stored.record, seen, about, id) {
                Err(why) => Ok(Retried::Left(why)),
                Ok(_) if dry_run => Ok(Retried::TakenUp),
                Ok(event) => {
                    let published = self.streams.publish(&event).await;
                    published.map(|()| Retried::TakenUp)
                }
            };
        }
        match seen {
            Seen::Known(known) if !known.decommissioning => {
                if !dry_run {
                    self.attend(about, known, name).await?;
                }
                Ok(Retried::LookedAt)
            }
            Seen::Known(_) | Seen::Gone => Ok(Retried::Left(NOT_THERE)),
        }
    }
}

const NOT_THERE: &str = "Mender does not have it any more";

/// The event that has given-up work taken up, or why none would be right.
///
/// Where Mender says something else than the record, it is the sweep's correction, at which the worker asks
/// Mender itself. Otherwise it is a replay of what the record says already. A delete is only
/// repeated where a decommission was heard of before and Mender does not have that incarnation.
fn revival(
    record: &Record,
    seen: &Seen,
    about: &DeviceRef,
    id: EventId,
) -> Result<Event, &'static str> {
    let closed = record.status == Status::Decommissioned;
    let incarnation = record.closed.filter(|_| closed).or(record.key.incarnation);
    match seen {
        Seen::Known(known) if known.decommissioning => return Err(NOT_THERE),
        Seen::Known(known) => {
            if let Some(event) = judge::correction(record, known, about, id.clone()) {
                return Ok(event);
            }
            let newer = matches!((known.created, incarnation), (Some(new), Some(old)) if new > old);
            if closed && !newer {
                return Err("a decommission of it was given up, but Mender has it");
            }
        }
        Seen::Gone if closed => {}
        Seen::Gone => return Err(NOT_THERE),
    }
    Ok(Event {
        id,
        about: about.clone(),
        status: record.status,
        revision: record.key.revision.filter(|_| !closed),
        created: incarnation,
        replay: 1,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lifecycle::{Context, Device, Input, IntentId, RetryPolicy, Timestamp, next};
    use serde_json::json;

    use super::super::Known;
    use super::*;

    const OLD: i64 = 1_000_000;
    const NEW: i64 = 2_000_000;

    fn about() -> DeviceRef {
        DeviceRef {
            tenant: "t".parse().unwrap(),
            device: "d".parse().unwrap(),
        }
    }

    fn parked(status: &str) -> Record {
        let record = json!({
            "v": 1, "key": {"incarnation": OLD, "revision": 3}, "status": status,
            "integration": {"id": "i", "hub": "h", "generation": 1},
            "hub": "absent", "confirmed": false,
            "parked": {"error": "no", "exhausted": false, "attempts": 1},
        });
        serde_json::from_value(record).unwrap()
    }

    fn known(status: Status, created: i64) -> Seen {
        Seen::Known(Known {
            status,
            decommissioning: false,
            created: Some(Timestamp::from_micros(created)),
        })
    }

    fn event(record: &Record, seen: &Seen) -> Result<Event, &'static str> {
        revival(record, seen, &about(), EventId("retry-1".to_owned()))
    }

    fn policy() -> RetryPolicy {
        let any = Duration::from_secs(60);
        RetryPolicy {
            first: any,
            cap: any,
            in_process: any,
            max_age: any,
            max_conflicts: 3,
            credentials: any,
            throttled: any,
            full: any,
            lease: any,
            delivery_lease: any,
        }
    }

    /// Whether the core takes the work up at this event.
    fn takes_up(record: &Record, event: Event) -> bool {
        let integration = record.integration.clone();
        let policy = policy();
        let context = Context {
            now: Timestamp::from_micros(9 * NEW),
            fresh: IntentId("x".to_owned()),
            jitter: 0,
            integration: Some(&integration),
            policy: &policy,
        };
        let device = Device::loaded(record.clone(), Timestamp::from_micros(NEW));
        let step = next(device, Input::Event(event), &context);
        let record = step.device.record.unwrap();
        record.parked.is_none() && record.working.is_some()
    }

    #[test]
    fn what_the_record_says_is_said_again_as_a_replay_and_taken_up() {
        for (status, now) in [
            ("accepted", Status::Accepted),
            ("rejected", Status::Rejected),
        ] {
            let event = event(&parked(status), &known(now, OLD)).unwrap();
            assert_eq!(
                (event.status, event.revision, event.replay),
                (now, Some(3), 1)
            );
            assert!(takes_up(&parked(status), event), "{status}");
        }
    }

    #[test]
    fn where_mender_says_something_else_the_worker_asks_it() {
        let event = event(&parked("accepted"), &known(Status::Rejected, OLD)).unwrap();
        assert_eq!((event.status, event.revision), (Status::Rejected, Some(3)));
        assert!(takes_up(&parked("accepted"), event));
    }

    #[test]
    fn a_delete_is_repeated_only_if_mender_does_not_have_what_was_decommissioned() {
        let record = parked("decommissioned");
        for seen in [Seen::Gone, known(Status::Pending, NEW)] {
            let event = event(&record, &seen).unwrap();
            let old = Some(Timestamp::from_micros(OLD));
            assert_eq!((event.status, event.created), (Status::Decommissioned, old));
            assert!(takes_up(&record, event), "{seen:?}");
        }
        assert!(event(&record, &known(Status::Accepted, OLD)).is_err());
        let reopened = event(&record, &known(Status::Accepted, NEW)).unwrap();
        assert_eq!(reopened.status, Status::Accepted);
        assert!(takes_up(&record, reopened));
    }

    #[test]
    fn nothing_is_published_about_a_device_that_mender_does_not_have() {
        assert_eq!(event(&parked("accepted"), &Seen::Gone), Err(NOT_THERE));
        let leaving = Seen::Known(Known {
            status: Status::Accepted,
            decommissioning: true,
            created: None,
        });
        assert_eq!(event(&parked("accepted"), &leaving), Err(NOT_THERE));
    }
}
