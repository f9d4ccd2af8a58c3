//! What the hub's query says: which devices are there, and which bear iot-manager's tag.

use std::collections::HashMap;

use iothub::{Continuation, MAX_PAGE, Page, Query, query};
use lifecycle::{DeviceId, Failure};
use serde_json::Value;

use super::patience::Pace;
use crate::adapters::{HubPort, failure_of_hub};

/// Longest condition of a query, in characters: less than the hub takes, for the words around it.
const CONDITION: usize = iothub::MAX_QUERY - 200;

/// Whether each of these devices that is in the hub bears the tag `mender: true`.
pub(super) async fn of_devices(
    hub: &HubPort,
    pace: &Pace,
    devices: &[DeviceId],
) -> Result<HashMap<String, bool>, Failure> {
    let mut found = HashMap::new();
    for list in lists(devices) {
        let text = format!("SELECT deviceId, tags FROM devices WHERE deviceId IN [{list}]");
        let mut after = None;
        loop {
            let answer = ask(hub, pace, &text, after.as_ref()).await?;
            let rows = answer.rows.iter().filter_map(|row| {
                let tagged = row.get("tags").and_then(|tags| tags.get("mender"));
                let tagged = tagged == Some(&Value::Bool(true));
                Some((row.get("deviceId")?.as_str()?.to_owned(), tagged))
            });
            found.extend(rows);
            after = answer.continuation;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(found)
}

/// One page of all devices that bear the tag, those whose id is none of ours left out.
pub(super) async fn tagged(
    hub: &HubPort,
    pace: &Pace,
    after: Option<&Continuation>,
) -> Result<(Vec<DeviceId>, Option<Continuation>), Failure> {
    let text = "SELECT deviceId FROM devices WHERE tags.mender = true";
    let found = ask(hub, pace, text, after).await?;
    let id = |row: &serde_json::Map<String, Value>| row.get("deviceId")?.as_str()?.parse().ok();
    Ok((
        found.rows.iter().filter_map(id).collect(),
        found.continuation,
    ))
}

async fn ask(
    hub: &HubPort,
    pace: &Pace,
    text: &str,
    after: Option<&Continuation>,
) -> Result<Page, Failure> {
    let query = Query::new(text).and_then(|query| query.page_size(MAX_PAGE));
    let query = query.map_err(|error| failure_of_hub(&error).0)?;
    pace.ask(async || {
        let answer = hub.client.query_page(&query, after).await;
        answer.map_err(|error| failure_of_hub(&error).0)
    })
    .await
}

/// The ids as lists of literals, each short enough for one query.
fn lists(devices: &[DeviceId]) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    for device in devices {
        let literal = query::literal(device.as_str());
        match lists.last_mut() {
            Some(list) if list.len() + 1 + literal.len() <= CONDITION => {
                list.push(',');
                list.push_str(&literal);
            }
            _ => lists.push(literal),
        }
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_ids_are_asked_for_in_as_few_queries_as_they_fit_in() {
        let id = |text: String| text.parse::<DeviceId>().unwrap();
        let short: Vec<_> = (0..100).map(|n| id(format!("d{n}"))).collect();
        assert_eq!(lists(&short).len(), 1);
        assert!(lists(&short)[0].starts_with("'d0','d1',"));
        let long: Vec<_> = (0..100)
            .map(|n| id(format!("{n:03}{}", "'".repeat(125))))
            .collect();
        let lists = lists(&long);
        assert!(lists.len() > 1);
        assert!(lists.iter().all(|list| list.len() <= CONDITION));
        let count: usize = lists.iter().map(|list| list.split("','").count()).sum();
        assert_eq!(count, 100);
    }
}
