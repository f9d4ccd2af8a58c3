//! The steps of `cargo xtask test`, as values: what runs is what is printed, to be run again.

use std::collections::BTreeSet;

use anyhow::Result;
use black_box::guards;
use clap::ValueEnum;

/// Steps that are chosen together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Group {
    /// Formatting.
    Fmt,
    /// Lints, warnings denied.
    Clippy,
    /// Documentation, warnings denied.
    Docs,
    /// Rules about the project itself: dependencies, licences, layout.
    Guards,
    /// Unit tests and doc tests.
    Unit,
    /// The protocol under a model checker, in its short form.
    Model,
    /// The reconciler against servers that fail, by seed, in its short form.
    Simulation,
    /// Tests of the real binaries against a real nats-server.
    BlackBox,
}

impl Group {
    /// The named groups; without names all, or those that a filter of tests can mean.
    pub(super) fn chosen(named: &[Self], filtered: bool) -> BTreeSet<Self> {
        if !named.is_empty() {
            return named.iter().copied().collect();
        }
        let all = Self::value_variants().iter().copied();
        all.filter(|group| !filtered || matches!(group, Self::Unit | Self::BlackBox))
            .collect()
    }
}

/// One step.
pub(super) struct Step {
    group: Group,
    /// What people call it.
    pub(super) title: &'static str,
    /// What it does.
    pub(super) action: Action,
}

impl Step {
    /// What stands above its output.
    pub(super) fn heading(&self) -> String {
        match &self.action {
            Action::Guard(_) => self.title.to_owned(),
            action => format!("{}: {}", self.title, action.command()),
        }
    }
}

/// What a step does.
pub(super) enum Action {
    /// Calls cargo.
    Cargo(CargoCall),
    /// Calls cargo-deny, if it is to be had.
    Deny(&'static str),
    /// Checks a rule in this process.
    Guard(fn() -> Result<()>),
}

/// A call of cargo in the project's root.
pub(super) struct CargoCall {
    pub(super) variables: Vec<(&'static str, &'static str)>,
    pub(super) arguments: Vec<String>,
}

impl Action {
    /// What to type to do the same again.
    pub(super) fn command(&self) -> String {
        match self {
            Self::Cargo(call) => call.command(),
            Self::Deny(words) => format!("cargo deny {words}"),
            Self::Guard(_) => "cargo xtask test --only guards".to_owned(),
        }
    }
}

impl CargoCall {
    fn command(&self) -> String {
        let variables = self
            .variables
            .iter()
            .map(|(name, value)| format!("{name}={}", quoted(value)));
        let arguments = self.arguments.iter().map(|argument| quoted(argument));
        let words: Vec<String> = variables
            .chain(["cargo".to_owned()])
            .chain(arguments)
            .collect();
        words.join(" ")
    }
}

/// A word as a shell takes it literally.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The steps of these groups, in order. `filter` is text in the names of tests.
pub(super) fn steps(groups: &BTreeSet<Group>, filter: Option<&str>) -> Vec<Step> {
    let mut steps = checks();
    steps.extend(tests(filter));
    steps.retain(|step| groups.contains(&step.group));
    steps
}

fn checks() -> Vec<Step> {
    use Group::{Clippy, Docs, Fmt, Guards};
    let step = |group, title, action| Step {
        group,
        title,
        action,
    };
    let mut docs = call("doc --workspace --no-deps --locked");
    docs.variables.push(("RUSTDOCFLAGS", "-Dwarnings"));
    let clippy = call("clippy --workspace --all-targets --locked -- -D warnings");
    vec![
        step(Fmt, "formatting", Action::Cargo(call("fmt --all --check"))),
        step(Clippy, "clippy", Action::Cargo(clippy)),
        step(Docs, "docs", Action::Cargo(docs)),
        step(
            Guards,
            "one TLS stack",
            Action::Guard(guards::one_tls_stack),
        ),
        step(
            Guards,
            "pure lifecycle",
            Action::Guard(guards::lifecycle_is_pure),
        ),
        step(
            Guards,
            "directions between crates",
            Action::Guard(guards::crates_follow_the_arrows),
        ),
        step(Guards, "tidy root", Action::Guard(guards::root_is_tidy)),
        step(
            Guards,
            "dependency rules",
            Action::Deny("--locked check bans licenses sources"),
        ),
        // The database is fetched by `cargo deny fetch`, not in a test: it comes from elsewhere than
        // crates do.
        step(
            Guards,
            "known vulnerabilities",
            Action::Deny("--locked check --disable-fetch advisories"),
        ),
    ]
}

fn tests(filter: Option<&str>) -> Vec<Step> {
    use Group::{BlackBox, Model, Simulation, Unit};
    let test = |group, title, words| {
        let mut call = call(words);
        call.arguments.extend(
            filter
                .iter()
                .flat_map(|text| ["--".to_owned(), (*text).to_owned()]),
        );
        Step {
            group,
            title,
            action: Action::Cargo(call),
        }
    };
    let build = Action::Cargo(call("build --workspace --bins --locked"));
    vec![
        test(
            Unit,
            "unit tests",
            "test --workspace --lib --bins --examples --locked",
        ),
        test(Unit, "doc tests", "test --workspace --doc --locked"),
        Step {
            group: Model,
            title: "model of the protocol",
            action: Action::Cargo(call("run --release --locked --package protocol-model")),
        },
        simulation("simulation of 10,000 seeds", Simulation, "--seeds 0..10000"),
        simulation(
            "account of 100,000 events",
            Simulation,
            "--profile volume --seeds 0..1000 --events 100000",
        ),
        simulation(
            "hub away for 72 hours",
            Simulation,
            "--profile outage --seeds 0..20",
        ),
        Step {
            group: BlackBox,
            title: "building the binaries",
            action: build,
        },
        test(
            BlackBox,
            "black-box tests",
            "test --workspace --test * --locked",
        ),
    ]
}

fn simulation(title: &'static str, group: Group, words: &str) -> Step {
    let run = "run --release --locked --package simulation --";
    Step {
        group,
        title,
        action: Action::Cargo(call(&format!("{run} {words}"))),
    }
}

fn call(words: &str) -> CargoCall {
    let arguments = words.split_whitespace().map(str::to_owned).collect();
    CargoCall {
        variables: Vec::new(),
        arguments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(named: &[Group], filter: Option<&str>) -> Vec<&'static str> {
        let groups = Group::chosen(named, filter.is_some());
        steps(&groups, filter)
            .iter()
            .map(|step| step.title)
            .collect()
    }

    #[test]
    fn without_options_every_group_has_its_steps() {
        let groups = Group::chosen(&[], false);
        let steps = steps(&groups, None);
        for group in Group::value_variants() {
            assert!(steps.iter().any(|step| step.group == *group), "{group:?}");
        }
    }

    #[test]
    fn only_leaves_out_the_rest() {
        assert_eq!(
            titles(&[Group::Clippy, Group::Fmt], None),
            ["formatting", "clippy"]
        );
    }

    #[test]
    fn a_filter_means_tests() {
        let titles = titles(&[], Some("restart"));
        assert_eq!(
            titles,
            [
                "unit tests",
                "doc tests",
                "building the binaries",
                "black-box tests"
            ]
        );
    }

    #[test]
    fn a_step_can_be_repeated_by_what_it_prints() {
        let groups = Group::chosen(&[Group::Docs, Group::BlackBox], false);
        let commands: Vec<String> = steps(&groups, Some("it's"))
            .iter()
            .map(|step| step.action.command())
            .collect();
        assert_eq!(
            commands,
            [
                "RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked",
                "cargo build --workspace --bins --locked",
                r"cargo test --workspace --test '*' --locked -- 'it'\''s'",
            ]
        );
    }
}
