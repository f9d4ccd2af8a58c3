//! Which operation lives at which path.
//!
//! One table of patterns, so that what is served can be read at a glance. An id may be any text
//! the path holds; whether it is a sound one is checked afterwards.

use http::Method;

use crate::errors::ServiceError;
use crate::etag::Precondition;
use crate::operation::Operation;

/// An operation, with the ids its path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) operation: Operation,
    pub(super) device: Option<&'a str>,
    pub(super) module: Option<&'a str>,
    /// Some other id or name.
    pub(super) name: Option<&'a str>,
}

impl<'a> Found<'a> {
    /// An operation without ids.
    pub(super) const fn plain(operation: Operation) -> Self {
        Self {
            operation,
            device: None,
            module: None,
            name: None,
        }
    }

    const fn called(operation: Operation, name: &'a str) -> Self {
        Self {
            name: Some(name),
            ..Self::plain(operation)
        }
    }

    const fn on(operation: Operation, device: &'a str) -> Self {
        Self {
            device: Some(device),
            ..Self::plain(operation)
        }
    }

    const fn within(operation: Operation, device: &'a str, module: &'a str) -> Self {
        Self {
            module: Some(module),
            ..Self::on(operation, device)
        }
    }
}

/// Finds the operation at a path, given as its decoded segments.
pub(super) fn find<'a>(
    method: &Method,
    names: &[&'a str],
    precondition: &Precondition,
) -> Result<Found<'a>, ServiceError> {
    use Operation as Op;
    let creates = *precondition == Precondition::Absent;
    match *names {
        ["devices", ..] => on_devices(method, names, creates),
        ["twins", ..] => on_twins(method, names),
        ["jobs", ..] => on_jobs(method, names),
        ["configurations", ..] => on_configurations(method, names, creates),
        ["statistics", "devices"] => {
            pick(method, &[("GET", Op::DeviceStatistics)]).map(Found::plain)
        }
        ["statistics", "service"] => {
            pick(method, &[("GET", Op::ServiceStatistics)]).map(Found::plain)
        }
        _ => find_rare(method, names),
    }
}

/// Identities of devices and modules.
fn on_devices<'a>(
    method: &Method,
    names: &[&'a str],
    creates: bool,
) -> Result<Found<'a>, ServiceError> {
    use Operation as Op;
    let pick = |choices: &[(&str, Op)]| pick(method, choices);
    let put = if creates { Op::Create } else { Op::Update };
    let put_module = if creates {
        Op::ModuleCreate
    } else {
        Op::ModuleUpdate
    };
    match *names {
        ["devices"] => pick(&[("GET", Op::List), ("POST", Op::Bulk)]).map(Found::plain),
        // Only POST: a device may be called `query`.
        ["devices", "query"] if *method == Method::POST => Ok(Found::plain(Op::Query)),
        ["devices", id] => {
            let choices = [("GET", Op::Read), ("PUT", put), ("DELETE", Op::Delete)];
            pick(&choices).map(|it| Found::on(it, id))
        }
        ["devices", id, "modules"] => pick(&[("GET", Op::ModuleList)]).map(|it| Found::on(it, id)),
        ["devices", id, "modules", module] => pick(&[
            ("GET", Op::ModuleRead),
            ("PUT", put_module),
            ("DELETE", Op::ModuleDelete),
        ])
        .map(|it| Found::within(it, id, module)),
        ["devices", id, "commands"] => pick(&[("DELETE", Op::Purge)]).map(|it| Found::on(it, id)),
        ["devices", id, "applyConfigurationContent"] => {
            pick(&[("POST", Op::ApplyContent)]).map(|it| Found::on(it, id))
        }
        _ => Err(ServiceError::no_such_resource()),
    }
}

/// Twins of devices and modules, and direct methods.
fn on_twins<'a>(method: &Method, names: &[&'a str]) -> Result<Found<'a>, ServiceError> {
    use Operation as Op;
    let pick = |choices: &[(&str, Op)]| pick(method, choices);
    match *names {
        ["twins", id] => pick(&[
            ("GET", Op::TwinRead),
            ("PATCH", Op::TwinPatch),
            ("PUT", Op::TwinReplace),
        ])
        .map(|it| Found::on(it, id)),
        ["twins", id, "methods"] => pick(&[("POST", Op::Method)]).map(|it| Found::on(it, id)),
        ["twins", id, "modules", module, "methods"] => {
            pick(&[("POST", Op::ModuleMethod)]).map(|it| Found::within(it, id, module))
        }
        ["twins", id, "modules", module] => pick(&[
            ("GET", Op::ModuleTwinRead),
            ("PATCH", Op::ModuleTwinPatch),
            ("PUT", Op::ModuleTwinReplace),
        ])
        .map(|it| Found::within(it, id, module)),
        _ => Err(ServiceError::no_such_resource()),
    }
}

/// Jobs of both kinds.
fn on_jobs<'a>(method: &Method, names: &[&'a str]) -> Result<Found<'a>, ServiceError> {
    use Operation as Op;
    let pick = |choices: &[(&str, Op)]| pick(method, choices);
    match *names {
        ["jobs", "v2", "query"] => pick(&[("GET", Op::JobList)]).map(Found::plain),
        ["jobs", "v2", id] => {
            let choices = [("GET", Op::JobRead), ("PUT", Op::JobCreate)];
            pick(&choices).map(|it| Found::called(it, id))
        }
        ["jobs", "v2", id, "cancel"] => {
            pick(&[("POST", Op::JobCancel)]).map(|it| Found::called(it, id))
        }
        ["jobs"] => pick(&[("GET", Op::TransferList)]).map(Found::plain),
        ["jobs", "create"] if *method == Method::POST => Ok(Found::plain(Op::TransferCreate)),
        ["jobs", id] => {
            let choices = [("GET", Op::TransferRead), ("DELETE", Op::TransferCancel)];
            pick(&choices).map(|it| Found::called(it, id))
        }
        _ => Err(ServiceError::no_such_resource()),
    }
}

/// Configurations.
fn on_configurations<'a>(
    method: &Method,
    names: &[&'a str],
    creates: bool,
) -> Result<Found<'a>, ServiceError> {
    use Operation as Op;
    let pick = |choices: &[(&str, Op)]| pick(method, choices);
    let put = if creates {
        Op::ConfigurationCreate
    } else {
        Op::ConfigurationUpdate
    };
    match *names {
        ["configurations"] => pick(&[("GET", Op::ConfigurationList)]).map(Found::plain),
        ["configurations", "testQueries"] if *method == Method::POST => {
            Ok(Found::plain(Op::TestQueries))
        }
        ["configurations", id] => pick(&[
            ("GET", Op::ConfigurationRead),
            ("PUT", put),
            ("DELETE", Op::ConfigurationDelete),
        ])
        .map(|it| Found::called(it, id)),
        _ => Err(ServiceError::no_such_resource()),
    }
}

/// Paths that few clients use.
fn find_rare<'a>(method: &Method, names: &[&'a str]) -> Result<Found<'a>, ServiceError> {
    use Operation as Op;
    let pick = |choices: &[(&str, Op)]| pick(method, choices);
    let command = || pick(&[("POST", Op::DigitalTwinCommand)]);
    match *names {
        ["digitaltwins", id] => {
            let choices = [
                ("GET", Op::DigitalTwinRead),
                ("PATCH", Op::DigitalTwinPatch),
            ];
            pick(&choices).map(|it| Found::on(it, id))
        }
        ["digitaltwins", id, "commands", name] => command().map(|it| Found {
            name: Some(name),
            ..Found::on(it, id)
        }),
        // The component stands where other paths have a module.
        [
            "digitaltwins",
            id,
            "components",
            component,
            "commands",
            name,
        ] => command().map(|it| Found {
            name: Some(name),
            ..Found::within(it, id, component)
        }),
        ["messages", "serviceBound", "feedback"] => {
            pick(&[("GET", Op::Feedback)]).map(Found::plain)
        }
        ["messages", "serviceBound", "feedback", lock] => {
            pick(&[("DELETE", Op::FeedbackSettle)]).map(|it| Found::called(it, lock))
        }
        ["messages", "serviceBound", "feedback", lock, "abandon"] => {
            pick(&[("POST", Op::FeedbackSettle)]).map(|it| Found::called(it, lock))
        }
        _ => Err(ServiceError::no_such_resource()),
    }
}

fn pick(method: &Method, choices: &[(&str, Operation)]) -> Result<Operation, ServiceError> {
    choices
        .iter()
        .find(|(name, _)| *name == method.as_str())
        .map(|(_, operation)| *operation)
        .ok_or_else(|| ServiceError::method_not_allowed(method))
}
