//! Queries: the tenant's own devices are looked through, some at a time.
//!
//! A place in the order of the tenant's records is the whole state between two pages, so a page
//! can end anywhere, and tells nothing of other tenants' devices, not even how many there are.

use std::collections::HashSet;
use std::time::Duration;

use iothub::{Continuation, ItemType, Query, Row as HubRow};
use messages::twin::{FoundTwin, Place, QueryReply, QueryRequest, Source};
use messages::{DeviceId, ModuleId};
use serde_json::{Map, Value};
use tokio::time::Instant;
use twin::{TenantId, TwinError};

use super::own::{Chunk, among, done_with};
use super::pace::Meter;
use super::{TwinPort, document};
use crate::adapters::hub::HubPort;

/// Rows that the hub is asked for at once.
const ROWS: u16 = 100;
/// Pages that the hub may make of what is asked for once. 25 devices have at most 1250 modules.
const HUB_PAGES: usize = 50;
/// A page is handed out after so many questions to the hub, even if it is not full.
const CHUNKS: usize = 10;
/// And after this time.
const LONG: Duration = Duration::from_secs(10);

/// A found twin with its place in the order.
struct Row {
    place: Place,
    found: FoundTwin,
}

impl Row {
    fn order(&self) -> (String, String) {
        let module = self.place.module.as_ref().map(ModuleId::to_token);
        (self.place.device.to_token(), module.unwrap_or_default())
    }
}

impl TwinPort {
    /// A page of the twins that `query` finds among the tenant's own.
    pub(super) async fn page(
        &self,
        tenant: &TenantId,
        hub: &HubPort,
        query: QueryRequest,
        longest: usize,
    ) -> Result<QueryReply, TwinError> {
        let begun = Instant::now();
        let source = query.condition.source;
        let (mut twins, mut length) = (Vec::new(), 0);
        let mut after = query.after;
        for round in 0..CHUNKS {
            if round > 0 && (begun.elapsed() > LONG || !self.pace.is_free(hub, Meter::Queries)) {
                break;
            }
            let chunk = self.next_chunk(tenant, hub, after.as_ref(), source).await?;
            let mut rows = self.rows(hub, &query.condition, &chunk.devices).await?;
            rows.retain(|row| is_behind(&row.place, after.as_ref()));
            rows.sort_by_cached_key(Row::order);
            for row in rows {
                length += row.found.length();
                let full = twins.len() == query.page_size || length > longest;
                if full && !twins.is_empty() {
                    return Ok(reply(twins, after.as_ref()));
                }
                after = Some(row.place);
                twins.push(row.found);
            }
            after = chunk.next;
            if after.is_none() {
                return Ok(reply(twins, None));
            }
            if twins.len() == query.page_size {
                break;
            }
        }
        Ok(reply(twins, after.as_ref()))
    }

    /// What comes behind `after`: the rest of a device's modules, or further devices.
    async fn next_chunk(
        &self,
        tenant: &TenantId,
        hub: &HubPort,
        after: Option<&Place>,
        source: Source,
    ) -> Result<Chunk, TwinError> {
        let Some(Place {
            device,
            module: Some(_),
        }) = after
        else {
            return self.chunk(tenant, hub, after, source).await;
        };
        let own = match self.check_own(tenant, device, hub).await {
            Ok(()) => vec![device.clone()],
            Err(TwinError::NotFound) => vec![],
            Err(error) => return Err(error),
        };
        Ok(Chunk {
            devices: own,
            next: Some(done_with(device.clone())),
        })
    }

    /// The twins of these devices for which the condition holds.
    async fn rows(
        &self,
        hub: &HubPort,
        condition: &messages::twin::Condition,
        devices: &[DeviceId],
    ) -> Result<Vec<Row>, TwinError> {
        if devices.is_empty() {
            return Ok(Vec::new());
        }
        let source = condition.source;
        let text = format!(
            "SELECT * FROM {} WHERE {}",
            source.as_str(),
            among(devices, condition.filter())
        );
        let asked: HashSet<&str> = devices.iter().map(DeviceId::as_str).collect();
        let mut found = Vec::new();
        for fields in self.all(hub, &text, &ItemType::Twin).await? {
            let item_type = ItemType::Twin;
            let twin = HubRow { item_type, fields }.into_twin();
            // Whatever the hub made of the query, only what was asked for goes out.
            found.extend(twin.ok().and_then(|twin| row(&twin, &asked, source)));
        }
        Ok(found)
    }

    /// All rows of a query that is bound to a tenant's own devices.
    pub(super) async fn all(
        &self,
        hub: &HubPort,
        text: &str,
        expected: &ItemType,
    ) -> Result<Vec<Map<String, Value>>, TwinError> {
        let query = Query::new(text).and_then(|query| query.page_size(ROWS));
        let query = query.map_err(|error| TwinError::Invalid(error.to_string()))?;
        let (mut rows, mut after): (Vec<_>, Option<Continuation>) = (Vec::new(), None);
        for _ in 0..HUB_PAGES {
            let asked = hub.client.query_page(&query, after.as_ref());
            let page = self.pace.ask(hub, Meter::Queries, asked).await?;
            if !page.rows.is_empty() && page.item_type != *expected {
                tracing::warn!(item_type = ?page.item_type, "the hub answers with other rows");
                return Err(TwinError::HubRefused);
            }
            rows.extend(page.rows);
            if page.continuation.is_none() {
                return Ok(rows);
            }
            after = page.continuation;
        }
        tracing::warn!(pages = HUB_PAGES, "a query of the hub does not end");
        Err(TwinError::HubRefused)
    }
}

/// A row that was asked for.
fn row(twin: &iothub::Twin, asked: &HashSet<&str>, source: Source) -> Option<Row> {
    let device = twin.device_id();
    let module = twin.module_id();
    if !asked.contains(device) || module.is_some() != (source == Source::Modules) {
        return None;
    }
    let module_id = module.map(str::parse::<ModuleId>).transpose().ok()?;
    Some(Row {
        place: Place {
            device: device.parse().ok()?,
            module: module_id,
        },
        found: FoundTwin {
            device: device.to_owned(),
            module: module.map(str::to_owned),
            twin: document(twin).cleaned(),
        },
    })
}

/// Whether a module comes behind the one that the last page ended with.
fn is_behind(place: &Place, after: Option<&Place>) -> bool {
    match (&place.module, after) {
        (Some(module), Some(after)) if after.device == place.device => {
            let last = after.module.as_ref().map(ModuleId::to_token);
            last.is_none_or(|last| module.to_token() > last)
        }
        _ => true,
    }
}

fn reply(twins: Vec<FoundTwin>, after: Option<&Place>) -> QueryReply {
    QueryReply {
        twins,
        continuation: after.map(ToString::to_string),
    }
}
