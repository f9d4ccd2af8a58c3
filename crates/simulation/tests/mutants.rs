//! The simulation is not blind: it catches a reconciler whose world breaks one promise.

use simulation::mutant::Mutant;
use simulation::profile::Profile;
use simulation::run::{How, play};

/// No mutant may need more seeds than this.
const MOST: u64 = 2_000;

/// The first seed that notices, and what it says.
fn caught(mutant: Mutant) -> Option<(u64, String)> {
    let how = How {
        profile: Profile::Mixed,
        mutant: Some(mutant),
        telling: false,
    };
    (0..MOST).find_map(|seed| Some((seed, play(seed, how).violation?)))
}

#[test]
fn every_mutant_is_caught() {
    let mut missed = Vec::new();
    for &mutant in Mutant::ALL {
        match caught(mutant) {
            Some((seed, says)) => println!("{mutant:?}, seed {seed}: {says}"),
            None => missed.push(mutant),
        }
    }
    assert!(missed.is_empty(), "not caught in {MOST} seeds: {missed:?}");
}
