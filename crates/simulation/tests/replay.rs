//! A seed is a run: the same again, whenever it is played; and runs are full of what they are for.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use lifecycle::Outcome;
use simulation::ledger::Account;
use simulation::profile::Profile;
use simulation::run::{How, play};

fn how(profile: Profile) -> How {
    How {
        profile,
        mutant: None,
        telling: false,
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..40 {
        let (first, again) = (
            play(seed, how(Profile::Mixed)),
            play(seed, how(Profile::Mixed)),
        );
        assert_eq!(first.hash, again.hash, "seed {seed}");
        assert_eq!(first.faults, again.faults, "seed {seed}");
        assert_eq!(first.account, again.account, "seed {seed}");
    }
}

#[test]
fn telling_the_story_changes_nothing() {
    let telling = How {
        telling: true,
        ..how(Profile::Mixed)
    };
    let told = play(7, telling);
    assert!(!told.story.is_empty());
    assert_eq!(told.hash, play(7, how(Profile::Mixed)).hash);
}

#[test]
fn another_seed_is_another_run() {
    let hash = |seed| play(seed, how(Profile::Mixed)).hash;
    assert_ne!(hash(1), hash(2));
}

#[test]
fn everything_happens_and_nothing_breaks() {
    let (mut seen, mut account) = (BTreeMap::new(), Account::default());
    for seed in 0..400 {
        let run = play(seed, how(Profile::Mixed));
        assert_eq!(
            run.violation, None,
            "cargo xtask simulate --seed {seed} --trace"
        );
        account.add(&run.account);
        for (what, times) in run.faults.into_iter().chain(run.seen) {
            *seen.entry(what).or_insert(0) += times;
        }
    }
    for what in EVERYTHING {
        assert!(seen.contains_key(what), "{what} never happened: {seen:?}");
    }
    assert!(account.is_exact(), "{account:?}");
}

#[test]
fn a_hub_that_is_away_for_three_days_costs_no_event_and_no_dead_letter() {
    let mut account = Account::default();
    for seed in 0..3 {
        let run = play(seed, how(Profile::Outage));
        assert_eq!(
            run.violation, None,
            "cargo xtask simulate --profile outage --seed {seed} --trace"
        );
        account.add(&run.account);
    }
    assert!(account.is_exact() && account.published > 0, "{account:?}");
    let dead = account.outcomes[Outcome::Dead as usize];
    assert_eq!((dead, account.pending), (0, 0), "{account:?}");
}

#[test]
fn nothing_breaks_with_seeds_that_nobody_has_chosen() {
    let first = RandomState::new().build_hasher().finish();
    for seed in (0..300).map(|n| first.wrapping_add(n)) {
        let run = play(seed, how(Profile::Mixed));
        assert_eq!(
            run.violation, None,
            "cargo xtask simulate --seed {seed} --trace"
        );
    }
}

const EVERYTHING: [&str; 47] = [
    "400",
    "401",
    "403 hub full",
    "412",
    "429",
    "500",
    "503",
    "adopted",
    "applied late",
    "clock jumps",
    "command cut off",
    "compare-and-set lost",
    "conflict",
    "crash",
    "dead letter",
    "deviceauth down",
    "deviceconfig in trouble",
    "edit by hand",
    "event lost",
    "foreign identity",
    "frozen",
    "hub away",
    "hub broken",
    "hub silent",
    "integration changed",
    "judged without a sweep",
    "key renewed",
    "keys swapped",
    "late effect",
    "list in trouble",
    "other hub",
    "outcome applied",
    "outcome dead",
    "outcome ignored",
    "outcome superseded",
    "outcome unchanged",
    "poison",
    "progress lost",
    "question",
    "replayed",
    "reply lost",
    "resync",
    "stale read",
    "stopped",
    "store rolled back",
    "wake-up lost",
    "wake-up twice",
];
