//! What a benchmark came to. Names of fields are part of the interface.

use std::time::Duration;

use anyhow::Result;
use comfy_table::{Table, presets};
use serde::Serialize;

use super::{machine, names::Name};
use crate::Output;

/// One comparison of a benchmark.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Case {
    /// What was measured.
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    /// The same of the reference, in the same run.
    pub(super) reference: f64,
    /// What the reference is.
    pub(super) beside: &'static str,
    /// `value` divided by `reference`.
    pub(super) ratio: f64,
    /// Whether the ratio, or the value, is what it has to be; `None` where nothing is asked.
    pub(super) reached: Option<bool>,
}

impl Case {
    pub(super) fn new(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        reference: f64,
        beside: &'static str,
    ) -> Self {
        let ratio = if reference == 0.0 {
            0.0
        } else {
            value / reference
        };
        Self {
            name: name.into(),
            value,
            unit,
            reference,
            beside,
            ratio,
            reached: None,
        }
    }

    /// The ratio must not be less.
    pub(super) fn at_least(mut self, ratio: f64) -> Self {
        self.reached = Some(self.ratio >= ratio);
        self
    }

    /// The ratio must not be greater.
    pub(super) fn at_most(mut self, ratio: f64) -> Self {
        self.reached = Some(self.ratio <= ratio);
        self
    }
}

/// A count, to reckon with.
#[expect(clippy::cast_precision_loss, reason = "some millions")]
pub(super) const fn number(count: u64) -> f64 {
    count as f64
}

/// What a benchmark has measured; the first case is the one that is told.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Measured {
    pub(super) cases: Vec<Case>,
    /// What else there is to know.
    pub(super) notes: Vec<String>,
}

/// The result of a benchmark.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    reference: f64,
    ratio: f64,
    machine: String,
    /// What has to be reached.
    target: &'static str,
    /// Whether it was, in every case of which something is asked.
    reached: bool,
    size: u64,
    #[serde(flatten)]
    measured: Measured,
    seconds: f64,
}

impl Figure {
    pub(super) fn new(name: Name, size: u64, measured: Measured, took: Duration) -> Self {
        let first = measured.cases.first();
        let of = |what: fn(&Case) -> f64| first.map_or(f64::NAN, what);
        Self {
            name: name.to_string(),
            value: of(|case| case.value),
            unit: first.map_or("", |case| case.unit),
            reference: of(|case| case.reference),
            ratio: of(|case| case.ratio),
            machine: machine::describe(),
            target: name.spec().target,
            reached: measured
                .cases
                .iter()
                .all(|case| case.reached != Some(false)),
            size,
            measured,
            seconds: took.as_secs_f64(),
        }
    }
}

/// All results of a run, as the last object.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    name: &'static str,
    /// Benchmarks that reached their targets.
    value: u64,
    unit: &'static str,
    /// Benchmarks that were run.
    reference: u64,
    ratio: f64,
    machine: String,
    benchmarks: Vec<Figure>,
    seconds: f64,
}

impl Summary {
    pub(super) fn of(benchmarks: Vec<Figure>) -> Self {
        let value = benchmarks.iter().filter(|figure| figure.reached).count() as u64;
        let reference = benchmarks.len() as u64;
        Self {
            name: "all",
            value,
            unit: "benchmarks that reached their target",
            reference,
            ratio: number(value) / number(reference.max(1)),
            machine: machine::describe(),
            seconds: benchmarks.iter().map(|figure| figure.seconds).sum(),
            benchmarks,
        }
    }
}

/// Prints one result, at once.
pub(super) fn print(output: Output, figure: &Figure) -> Result<()> {
    match output {
        Output::Text => println!("{}", text(figure)),
        Output::Json => println!("{}", serde_json::to_string(figure)?),
    }
    Ok(())
}

/// Prints the end of a run of several.
pub(super) fn print_all(output: Output, summary: &Summary) -> Result<()> {
    match output {
        Output::Text => println!(
            "{} of {} benchmarks reached their target, in {:.0} s",
            summary.value, summary.reference, summary.seconds
        ),
        Output::Json => println!("{}", serde_json::to_string(summary)?),
    }
    Ok(())
}

fn text(figure: &Figure) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        &figure.name,
        "value",
        "unit",
        "reference",
        "ratio",
        "",
        "beside",
    ]);
    for case in &figure.measured.cases {
        table.add_row([
            case.name.clone(),
            short(case.value),
            case.unit.to_owned(),
            short(case.reference),
            format!("{:.2}", case.ratio),
            match case.reached {
                None => "",
                Some(true) => "reached",
                Some(false) => "missed",
            }
            .to_owned(),
            case.beside.to_owned(),
        ]);
    }
    let notes = figure.measured.notes.iter();
    let notes: String = notes.flat_map(|note| ["\n", note]).collect();
    format!(
        "{}\nto reach: {}; {:.0} s on {}{notes}\n",
        table.trim_fmt(),
        figure.target,
        figure.seconds,
        figure.machine
    )
}

/// As many digits as mean something.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_case_is_told_and_one_missed_case_misses_the_target() {
        let case = |ratio: f64| Case::new("c", ratio, "events/s", 1.0, "bare").at_least(0.5);
        let measured = Measured {
            cases: vec![case(0.9), case(0.4)],
            notes: Vec::new(),
        };
        let figure = Figure::new(Name::Pipeline, 7, measured, Duration::from_secs(1));
        assert!(!figure.reached);
        let json = serde_json::to_value(&figure).unwrap();
        for field in ["name", "value", "unit", "reference", "ratio", "machine"] {
            assert!(json.get(field).is_some(), "{field}");
        }
        assert_eq!(
            (&json["name"], &json["ratio"]),
            (&"pipeline".into(), &0.9.into())
        );
        assert!(text(&figure).contains("missed"));
    }
}
