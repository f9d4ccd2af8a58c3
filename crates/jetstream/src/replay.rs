//! Publishing the event of a dead letter again.
//!
//! A letter comes from one of two places. One from the event stream holds an event of our own and
//! goes back to its subject. One from ingest holds a message of Mender's, which is read again
//! here: its devices become events, or just the one device that the letter is about.

use async_nats::HeaderMap;
use lifecycle::EventId;
use messages::{Malformed, header};

use crate::{
    DeadLetters, Letter, Replayed, Result,
    headers::{self, LIST_INDEX, MESSAGE_ID, append},
    ingest::part_id,
    publish::publish,
};

/// An event to publish.
struct Again {
    /// Tells the events of one letter apart.
    index: usize,
    id: EventId,
    subject: String,
    body: Vec<u8>,
}

pub(crate) async fn publish_again(letters: &DeadLetters, letter: &Letter) -> Result<Replayed> {
    let (again, malformed) = match read(letters, letter) {
        Ok(read) => read,
        Err(malformed) => (Vec::new(), Some(malformed)),
    };
    for event in &again {
        let mut headers = HeaderMap::new();
        for (name, value) in letter.headers.iter().filter(|(name, _)| is_kept(name)) {
            append(&mut headers, name, value);
        }
        let (sequence, life, index) = (letter.sequence, life_after(letter), event.index);
        append(&mut headers, header::REPLAY, &life.to_string());
        append(&mut headers, header::REPLAY_OF, &sequence.to_string());
        append(
            &mut headers,
            MESSAGE_ID,
            &format!("replay:{sequence}:{life}:{index}"),
        );
        if event.id.0.is_empty() {
            append(&mut headers, header::WAKE_UP, "1");
        } else {
            append(&mut headers, header::EVENT_ID, &event.id.0);
        }
        let body = event.body.clone().into();
        publish(&letters.context, event.subject.clone(), headers, body).await?;
    }
    let published = again.len();
    Ok(match malformed {
        None => Replayed::Published(published),
        Some(malformed) => Replayed::Malformed {
            reason: malformed.to_string(),
            published,
        },
    })
}

/// The life that a replay of this letter begins: the same however often it is replayed, another
/// one for each letter. A count would not do: the news of an old death may be told once more when
/// its letter is gone. A stream that was made anew counts from one again, so it is at least one more
/// than the life that died.
fn life_after(letter: &Letter) -> u64 {
    letter.sequence.max(letter.replay.saturating_add(1))
}

/// Headers that describe this life of the event are written anew.
fn is_kept(name: &str) -> bool {
    ![
        header::EVENT_ID,
        header::REPLAY,
        header::REPLAY_OF,
        header::WAKE_UP,
        LIST_INDEX,
    ]
    .contains(&name)
}

/// The events of a letter, and what is still wrong with it.
fn read(
    letters: &DeadLetters,
    letter: &Letter,
) -> Result<(Vec<Again>, Option<Malformed>), Malformed> {
    if letter.truncated.is_some() {
        return Err(Malformed::because(
            "the letter holds only the beginning of the message",
        ));
    }
    match letters.names.event_tokens(&letter.subject) {
        Some((tenant, device)) => {
            let again = own(letter, &tenant, &device)?;
            Ok((vec![again], None))
        }
        None => of_mender(letters, letter),
    }
}

/// An event of the event stream, or a wake-up that carried none.
fn own(letter: &Letter, tenant: &str, device: &str) -> Result<Again, Malformed> {
    let wake_up = headers::find(&letter.headers, header::WAKE_UP).is_some();
    let id = if wake_up {
        messages::device_of(tenant, device)?;
        EventId(String::new())
    } else {
        let id = letter.event_id.clone();
        messages::parse_event(id.clone(), tenant, device, &letter.body, 0)?;
        id
    };
    Ok(Again {
        index: 0,
        id,
        subject: letter.subject.clone(),
        body: letter.body.clone(),
    })
}

fn of_mender(
    letters: &DeadLetters,
    letter: &Letter,
) -> Result<(Vec<Again>, Option<Malformed>), Malformed> {
    let message = messages::parse_mender(&letter.body)?;
    let only: Option<usize> =
        headers::find(&letter.headers, LIST_INDEX).and_then(|index| index.parse().ok());
    let several = message.devices.len() > 1;
    let mut again = Vec::new();
    let mut malformed = None;
    for (index, device) in message.devices.into_iter().enumerate() {
        if only.is_some_and(|only| only != index) {
            continue;
        }
        let device = match device {
            Ok(device) => device,
            Err(bad) => {
                malformed = Some(bad.malformed);
                continue;
            }
        };
        // A letter of one device has that device's name already.
        let id = part_id(&letter.event_id, index, several && only.is_none());
        let event = device.into_event(id, message.tenant.clone());
        again.push(Again {
            index,
            subject: letters.names.event_subject(&event.about),
            body: messages::to_body(&event),
            id: event.id,
        });
    }
    Ok((again, malformed))
}
