//! Every input that was ever interesting is still handled, and no target is without inputs or
//! without a program.

use std::fs;
use std::path::{Path, PathBuf};

use fuzz_targets::TARGETS;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn names_in(path: &str) -> Vec<String> {
    let entries = fs::read_dir(here(path)).unwrap();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<_> = entries.map(|entry| stem(entry.unwrap().path())).collect();
    names.sort();
    names
}

#[test]
fn the_corpus_is_handled() {
    for target in TARGETS {
        let corpus = here("corpus").join(target.name);
        let files: Vec<_> = fs::read_dir(&corpus).unwrap().collect();
        assert!(!files.is_empty(), "{} has no corpus", target.name);
        for file in files {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            // Shown by the test harness if the target panics.
            println!("{}", path.display());
            (target.run)(&bytes);
        }
    }
}

#[test]
fn every_target_has_a_program_and_every_corpus_a_target() {
    let mut targets: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    targets.sort_unstable();
    assert_eq!(names_in("corpus"), targets);
    assert_eq!(names_in("cargo-fuzz/fuzz_targets"), targets);
}
