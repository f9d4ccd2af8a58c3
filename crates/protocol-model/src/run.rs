//! Runs the checker over scenarios and mutants, and tells what came of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use stateright::{Checker, HasDiscoveries, Model};

use crate::{
    model::{ENDS_WELL, Protocol},
    mutant::Mutant,
    scenario::Scenario,
};

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(10);
/// How often the number of states is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What came of one exploration.
#[derive(Debug)]
pub struct Explored {
    /// Name of the scenario.
    pub name: &'static str,
    /// Different states that were reached.
    pub unique_states: usize,
    /// Length of the longest run, in actions.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Everything was explored.
    pub complete: bool,
    /// Rules that were broken, with a run that breaks each.
    pub broken: Vec<(&'static str, Vec<String>)>,
    /// A good end was reached: the scenario is not empty.
    pub ends_well: bool,
}

/// Explores one scenario until `states` different states were seen, or until something is broken.
///
/// `tell` is called now and then with the number of states so far. A mutant is explored by breadth,
/// which finds the shortest run that breaks a rule; all else by depth, which needs less memory, and
/// finds runs without end.
pub fn explore(
    scenario: Scenario,
    mutant: Option<Mutant>,
    threads: usize,
    states: usize,
    tell: impl Fn(usize),
) -> Explored {
    let name = scenario.name;
    let enough = Arc::new(AtomicBool::new(false));
    let model = Protocol {
        scenario,
        mutant,
        enough: Arc::clone(&enough),
    };
    let builder = model.checker().threads(threads);
    let builder = builder.finish_when(HasDiscoveries::AnyFailures);
    let limit = Limit { states, enough };
    if mutant.is_some_and(|mutant| !mutant.has_no_end()) {
        limit.watch(name, builder.spawn_bfs(), tell)
    } else {
        limit.watch(name, builder.spawn_dfs(), tell)
    }
}

/// When to stop.
struct Limit {
    states: usize,
    enough: Arc<AtomicBool>,
}

impl Limit {
    /// Waits for the end. `join` cannot be watched from outside, so the checker is asked.
    fn watch(
        &self,
        name: &'static str,
        checker: impl Checker<Protocol>,
        tell: impl Fn(usize),
    ) -> Explored {
        let began = Instant::now();
        let mut told = began;
        while !checker.is_done() {
            let seen = checker.unique_state_count();
            if seen >= self.states {
                self.enough.store(true, Ordering::Relaxed);
            }
            if told.elapsed() > PROGRESS {
                told = Instant::now();
                tell(seen);
            }
            thread::sleep(LOOK.min(began.elapsed() / 4));
        }
        let checker = checker.join();
        // To find the run again the checker asks for its actions again.
        let stopped = self.enough.swap(false, Ordering::Relaxed);
        let mut discoveries = checker.discoveries();
        let ends_well = discoveries.remove(ENDS_WELL).is_some();
        let runs = discoveries.into_iter().map(|(rule, path)| {
            let actions = path.into_actions();
            let told = actions.iter().map(|action| format!("{action:?}"));
            (rule, told.collect())
        });
        let broken: Vec<_> = runs.collect();
        Explored {
            name,
            unique_states: checker.unique_state_count(),
            depth: checker.max_depth(),
            took: began.elapsed(),
            complete: broken.is_empty() && !stopped,
            broken,
            ends_well,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenarios;

    fn explored(name: &str, mutant: Option<Mutant>, states: usize) -> Explored {
        let scenario = scenarios::named(name).expect("a scenario");
        explore(scenario, mutant, 1, states, |_| {})
    }

    #[test]
    fn a_small_scenario_is_explored_to_its_end_and_breaks_nothing() {
        let explored = explored("order", None, usize::MAX);
        assert_eq!(explored.broken, []);
        assert!(explored.complete && explored.ends_well);
        assert!(explored.unique_states > 100, "{explored:?}");
    }

    #[test]
    fn without_its_rule_the_same_scenario_breaks_and_the_run_is_told() {
        let explored = explored("order", Some(Mutant::ArrivalOrder), usize::MAX);
        let (rule, run) = explored.broken.first().expect("a broken rule");
        assert!(rule.starts_with("L2"), "{rule}");
        assert!(run.len() > 5, "{run:?}");
    }

    #[test]
    fn a_large_scenario_stops_when_enough_was_seen() {
        let explored = explored("gone-3", None, 500);
        assert!(!explored.complete);
        assert_eq!(explored.broken, []);
    }

    #[test]
    fn every_mutant_is_at_home_in_a_scenario() {
        for mutant in Mutant::ALL {
            let home = scenarios::named(mutant.scenario());
            assert!(home.is_some(), "{mutant:?}");
        }
    }
}
