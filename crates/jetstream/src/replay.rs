//! Publishing the event of a dead letter again.
//!
//! A letter comes from one of two places. One from the event stream holds an event of our own and
//! goes back to its subject. One from ingest holds a message of Mender's, which is read again
//! here: its devices become events, or just the one device that the letter is about.

use async_nats::HeaderMap;
use lifecycle::{DeviceRef, EventId};
use messages::{Malformed, header};

use crate::{
    DeadLetters, Letter, Life, Replayed, Result,
    headers::{self, LIST_INDEX, MESSAGE_ID, append},
    ingest::part_id,
    publish::publish,
};

/// An event to publish.
struct Again {
    /// Tells the events of one letter apart.
    index: usize,
    /// `None` for a wake-up.
    id: Option<EventId>,
    about: DeviceRef,
    subject: String,
    body: Vec<u8>,
}

pub(crate) async fn publish_again(letters: &DeadLetters, letter: Letter) -> Result<Replayed> {
    let (again, malformed) = match read(letters, &letter) {
        Ok(read) => read,
        Err(malformed) => (Vec::new(), Some(malformed)),
    };
    let replay = life_after(&letter);
    let mut lives = Vec::with_capacity(again.len());
    for event in again {
        let headers = headers_of(&letter, &event, replay);
        publish(&letters.context, event.subject, headers, event.body.into()).await?;
        lives.push(Life {
            event: event.id,
            replay,
            about: event.about,
        });
    }
    Ok(Replayed {
        letter: Some(letter.head),
        lives,
        malformed: malformed.map(|malformed| malformed.to_string()),
    })
}

fn headers_of(letter: &Letter, event: &Again, replay: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in letter.headers.iter().filter(|(name, _)| is_kept(name)) {
        append(&mut headers, name, value);
    }
    let (sequence, index) = (letter.head.sequence, event.index);
    append(&mut headers, header::REPLAY, &replay.to_string());
    append(&mut headers, header::REPLAY_OF, &sequence.to_string());
    let name = format!("replay:{sequence}:{replay}:{index}");
    append(&mut headers, MESSAGE_ID, &name);
    match &event.id {
        Some(id) => append(&mut headers, header::EVENT_ID, &id.0),
        None => append(&mut headers, header::WAKE_UP, "1"),
    }
    headers
}

/// The life that a replay of this letter begins: the same however often it is replayed, another
/// one for each letter. A count would not do: the news of an old death may be told once more when
/// its letter is gone. A stream that was made anew counts from one again, so it is at least one more
/// than the life that died.
fn life_after(letter: &Letter) -> u64 {
    letter
        .head
        .sequence
        .max(letter.head.replay.saturating_add(1))
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
    let (id, about) = if wake_up {
        (None, messages::device_of(tenant, device)?)
    } else {
        let id = letter.head.event_id.clone();
        let event = messages::parse_event(id, tenant, device, &letter.body, 0)?;
        (Some(event.id), event.about)
    };
    Ok(Again {
        index: 0,
        id,
        about,
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
        let id = part_id(&letter.head.event_id, index, several && only.is_none());
        let event = device.into_event(id, message.tenant.clone());
        again.push(Again {
            index,
            subject: letters.names.event_subject(&event.about),
            body: messages::to_body(&event),
            id: Some(event.id),
            about: event.about,
        });
    }
    Ok((again, malformed))
}
