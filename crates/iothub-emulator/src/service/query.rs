//! POST /devices/query: rows are looked at in short steps, so that a long query stops nobody.

use std::ops::ControlFlow;

use serde::Deserialize;
use tracing::debug;

use super::{Answer, Call, Performed};
use crate::choices::{Choices, QueryFunctions};
use crate::dates::Ticks;
use crate::errors::ServiceError;
use crate::hub::Hub;
use crate::jobs::view;
use crate::query::ast::Select;
use crate::query::rows::JobRow;
use crate::query::select::{Groups, project};
use crate::query::token::{self, Place};
use crate::query::{Dialect, Query, Source, Syntax, TwinRow, is_true, parse};
use crate::registry::{Device, Trace};
use crate::views;

/// Devices looked at in one go, with the state locked.
const STEP: usize = 250;

#[derive(Deserialize)]
struct Body {
    query: String,
}

/// One page of an answer.
struct Page {
    lines: Vec<String>,
    /// Where the next page starts, if there is one.
    next: Option<Place>,
}

/// Answers one page of a query.
pub(super) async fn perform(hub: &Hub, call: Call<'_>) -> Result<Performed, ServiceError> {
    let body: Body = serde_json::from_slice(call.body).map_err(|_| ServiceError::bad_query())?;
    let dialect = dialect(&hub.choices);
    let query = parse(&body.query, dialect).map_err(|error| refused(&error))?;
    let start = match call.continuation {
        None => Place::default(),
        Some(text) => token::read(&body.query, text).ok_or_else(ServiceError::bad_query)?,
    };
    let size = page_size(call.max_items, &hub.choices)?;
    let page = if query.source == Source::Jobs {
        job_rows(hub, &query, size, &start)
    } else if query.select.aggregates() || !query.group_by.is_empty() {
        gather(hub, &query, size, &start).await
    } else {
        list(hub, &query, size, start, call.api_version).await
    };
    let item_type = match (query.source, &query.select) {
        (Source::Jobs, _) => "DeviceJob",
        (_, Select::All) => "Twin",
        _ => "Raw",
    };
    let answer = Answer {
        item_type: Some(item_type),
        continuation: page.next.map(|place| token::write(&body.query, place)),
        ..Answer::ok(format!("[{}]", page.lines.join(",")))
    };
    Ok(Performed {
        answer: Ok(answer),
        effect: Some((Trace::default(), hub.clock.tick())),
    })
}

/// What queries of this hub may use.
pub(crate) fn dialect(choices: &Choices) -> Dialect {
    match choices.query_functions {
        QueryFunctions::All => Dialect::AllFunctions,
        QueryFunctions::Documented => Dialect::TwinFunctions,
    }
}

fn refused(Syntax(reason): &Syntax) -> ServiceError {
    debug!(reason, "query refused");
    ServiceError::bad_query()
}

/// How many rows a page gets.
pub(crate) fn page_size(asked: Option<&str>, choices: &Choices) -> Result<usize, ServiceError> {
    let Some(text) = asked else {
        return Ok(choices.query_page_default);
    };
    match text.parse::<usize>() {
        Ok(size) if size > 0 => Ok(size.min(choices.query_page_max)),
        _ => Err(ServiceError::bad_query()),
    }
}

/// A page of rows.
async fn list(hub: &Hub, query: &Query, size: usize, start: Place, api_version: &str) -> Page {
    let top = query.top.unwrap_or(usize::MAX);
    let mut rows = start.rows;
    let (mut lines, mut last) = (vec![], start.clone());
    let mut more = false;
    scan(hub, query.source, &start, |row| {
        if rows >= top {
            return ControlFlow::Break(());
        }
        if !is_true(query.filter.as_ref(), row) {
            return ControlFlow::Continue(());
        }
        if lines.len() >= size {
            more = true;
            return ControlFlow::Break(());
        }
        rows += 1;
        lines.push(match &query.select {
            Select::All => whole(row, api_version),
            Select::Columns(columns) => project(columns, row),
        });
        last = place(row, rows);
        ControlFlow::Continue(())
    })
    .await;
    Page {
        lines,
        next: more.then_some(last),
    }
}

/// A page of groups. They are gathered anew for each page, since rows may have changed.
async fn gather(hub: &Hub, query: &Query, size: usize, start: &Place) -> Page {
    let mut groups = Groups::default();
    scan(hub, query.source, &Place::default(), |row| {
        if is_true(query.filter.as_ref(), row) {
            groups.add(query, row);
        }
        ControlFlow::Continue(())
    })
    .await;
    let mut lines = groups.finish(query);
    lines.truncate(query.top.unwrap_or(usize::MAX));
    let all = lines.len();
    let lines: Vec<String> = lines.into_iter().skip(start.rows).take(size).collect();
    let rows = start.rows + lines.len();
    Page {
        next: (rows < all).then(|| Place {
            rows,
            ..Place::default()
        }),
        lines,
    }
}

/// A page of what jobs did to devices; it goes by numbers, as history only grows.
fn job_rows(hub: &Hub, query: &Query, size: usize, start: &Place) -> Page {
    let jobs = hub.jobs();
    let rows = jobs
        .after(None)
        .flat_map(|job| job.devices.iter().map(move |it| (job, it)));
    let rows = rows.map(|(job, device)| JobRow(view::row(job, device)));
    let mut rows = rows
        .filter(|row| is_true(query.filter.as_ref(), row))
        .take(query.top.unwrap_or(usize::MAX))
        .skip(start.rows);
    let lines: Vec<String> = rows
        .by_ref()
        .take(size)
        .map(|row| row.0.to_string())
        .collect();
    let next = rows.next().map(|_| Place {
        rows: start.rows + lines.len(),
        ..Place::default()
    });
    Page { lines, next }
}

/// Shows rows after `start` to `look` until it has seen enough.
pub(crate) async fn scan(
    hub: &Hub,
    source: Source,
    start: &Place,
    mut look: impl FnMut(&TwinRow<'_>) -> ControlFlow<()>,
) {
    let any_case = hub.choices.any_case_keys();
    let mut step = |registry: &mut crate::registry::Registry, now: Ticks, after: &mut Place| {
        if let (Some(id), Some(module)) = (&after.device, &after.module) {
            // A page ended among the modules of a device; the rest of them comes first.
            if let Some(device) = registry.visible_one(id, now) {
                rows(device, source, any_case)
                    .filter(|row| row.module.is_some_and(|it| it.identity.module_id > *module))
                    .try_for_each(|row| look(&row))?;
            }
            after.module = None;
        }
        let (devices, last) = registry.visible(after.device.as_deref(), STEP, now);
        for device in devices {
            rows(device, source, any_case).try_for_each(|row| look(&row))?;
        }
        after.device = last;
        if after.device.is_none() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let mut after = start.clone();
    while hub
        .with_registry(|registry, now| step(registry, now, &mut after))
        .is_continue()
    {
        tokio::task::yield_now().await;
    }
}

fn rows(device: &Device, source: Source, any_case: bool) -> impl Iterator<Item = TwinRow<'_>> {
    let row = move |module| TwinRow {
        device,
        module,
        any_case,
    };
    let own = (source == Source::Devices).then(|| row(None));
    let modules = (source == Source::Modules).then(|| device.modules.values());
    let modules = modules.into_iter().flatten();
    own.into_iter().chain(modules.map(move |it| row(Some(it))))
}

fn whole(row: &TwinRow<'_>, api_version: &str) -> String {
    match row.module {
        None => views::twin(row.device, api_version),
        Some(module) => views::modules::listed_twin(row.device, module, api_version),
    }
}

fn place(row: &TwinRow<'_>, rows: usize) -> Place {
    Place {
        device: Some(row.device.identity.device_id.clone()),
        module: row.module.map(|it| it.identity.module_id.clone()),
        rows,
    }
}
