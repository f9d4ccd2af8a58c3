//! Bringing one device in line with the configurations that target it.
//!
//! Device and module configurations lie on top of each other, the highest priority uppermost (of
//! equal ones the newest). Of edge deployments only the uppermost is applied. Applying twice
//! changes nothing, so it can be done whenever something might have changed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ring::digest::{SHA256, digest};

use super::Configuration;
use super::content::{Parts, Setting, put};
use crate::dates::Ticks;
use crate::query::ast::Expr;
use crate::query::{Dialect, Source, TwinRow, is_true, parse_condition};
use crate::registry::Device;
use crate::twin::{Author, Document, Mark, Twin};

/// A configuration made ready for looking at many devices.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    id: String,
    source: Source,
    /// `None` targets everything.
    filter: Option<Expr>,
    parts: Parts,
    author: Author,
    rank: (i64, Ticks),
}

impl Ready {
    /// Prepares a configuration; `None` if it targets nothing.
    pub(crate) fn new(configuration: &Configuration, dialect: Dialect) -> Option<Self> {
        let target = Some(configuration.target.as_str()).filter(|it| !it.trim().is_empty())?;
        let (source, filter) = parse_condition(target, dialect).ok()?;
        let text = serde_json::to_vec(&configuration.content).ok()?;
        let hash = digest(&SHA256, &text);
        let hex: Vec<String> = hash.as_ref().iter().map(|it| format!("{it:02x}")).collect();
        Some(Self {
            id: configuration.id.clone(),
            source,
            filter,
            parts: configuration.content.parts().ok()?,
            author: Author {
                by: configuration.id.clone(),
                digest: hex.concat(),
            },
            rank: (configuration.priority, configuration.created),
        })
    }

    fn targets(&self, row: &TwinRow<'_>) -> bool {
        let kind = if row.module.is_some() {
            Source::Modules
        } else {
            Source::Devices
        };
        kind == self.source && is_true(self.filter.as_ref(), row)
    }
}

/// Puts configurations in the order in which they lie on top of each other, lowest first.
pub(crate) fn sort(ready: &mut [Ready]) {
    ready.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.id.cmp(&b.id)));
}

/// The changes that one device needs, worked out without touching it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// For the device itself (`None`) and for its modules.
    pub(crate) twins: BTreeMap<Option<String>, TwinPlan>,
    /// Modules that an edge deployment needs and that are not there.
    pub(crate) modules: BTreeSet<String>,
}

/// The changes that one twin needs.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct TwinPlan {
    pub(crate) marks: BTreeMap<String, Mark>,
    /// The desired properties as they shall be, if they are not, and who says so.
    pub(crate) desired: Option<(Document, Author)>,
}

/// Works out what a device needs. `ready` is sorted.
pub(crate) fn plan(device: &Device, ready: &[Ready], any_case: bool) -> Plan {
    let row = |module| TwinRow {
        device,
        module,
        any_case,
    };
    let mut plan = Plan::default();
    let own: Vec<&Ready> = ready.iter().filter(|it| it.targets(&row(None))).collect();
    let mut marks = BTreeMap::new();
    let layers = own.iter().filter_map(|it| match &it.parts {
        Parts::Device(settings) => Some((*it, settings.as_slice())),
        _ => None,
    });
    let desired = layered(&device.twin, layers, &mut marks);
    if device.identity.capabilities.iot_edge {
        edge(device, &own, &mut marks, &mut plan);
    }
    plan.add(None, &device.twin, marks, desired);
    for (id, module) in &device.modules {
        let mut marks = BTreeMap::new();
        let layers = ready.iter().filter(|it| it.targets(&row(Some(module))));
        let layers = layers.filter_map(|it| match &it.parts {
            Parts::Module(settings) => Some((it, settings.as_slice())),
            _ => None,
        });
        let desired = layered(&module.twin, layers, &mut marks);
        plan.add(Some(id.clone()), &module.twin, marks, desired);
    }
    plan
}

impl Plan {
    fn add(
        &mut self,
        module: Option<String>,
        twin: &Twin,
        marks: BTreeMap<String, Mark>,
        desired: Option<(Document, Author)>,
    ) {
        if marks == twin.marks && desired.is_none() {
            return;
        }
        let entry = self.twins.entry(module).or_default();
        entry.marks = marks;
        // An edge deployment may have put something there already, and it knows the whole twin.
        entry.desired = entry.desired.take().or(desired);
    }
}

/// Lays settings over the desired properties of a twin.
fn layered<'a>(
    twin: &Twin,
    layers: impl Iterator<Item = (&'a Ready, &'a [Setting])>,
    marks: &mut BTreeMap<String, Mark>,
) -> Option<(Document, Author)> {
    let mut wanted = twin.desired.values.clone();
    let mut author = None;
    for (ready, settings) in layers {
        put(&mut wanted, settings);
        marks.insert(ready.id.clone(), Mark::Applied);
        author = Some(ready.author.clone());
    }
    author
        .filter(|_| wanted != twin.desired.values)
        .map(|it| (wanted, it))
}

/// Lets the uppermost edge deployment decide about the modules it names.
fn edge(device: &Device, own: &[&Ready], marks: &mut BTreeMap<String, Mark>, plan: &mut Plan) {
    let mut deployments: Vec<&&Ready> = own
        .iter()
        .filter(|it| matches!(it.parts, Parts::Edge(_)))
        .collect();
    deployments.sort_by_key(|it| Reverse((it.rank, &it.id)));
    for (place, ready) in deployments.iter().enumerate() {
        let mark = if place == 0 {
            Mark::Applied
        } else {
            Mark::Targeted
        };
        marks.insert(ready.id.clone(), mark);
    }
    let Some(Parts::Edge(modules)) = deployments.first().map(|it| &it.parts) else {
        return;
    };
    for (name, settings) in modules {
        let mut wanted = Document::new();
        put(&mut wanted, settings);
        match device.modules.get(name) {
            Some(module) if module.twin.desired.values == wanted => {}
            Some(module) => {
                let author = deployments[0].author.clone();
                let entry = plan.twins.entry(Some(name.clone())).or_default();
                entry.marks.clone_from(&module.twin.marks);
                entry.desired = Some((wanted, author));
            }
            // Its content follows in the next round, when it is there.
            None => {
                plan.modules.insert(name.clone());
            }
        }
    }
}
