//! The project keeps its own rules.

use black_box::guards;

#[test]
fn the_core_depends_on_nothing_with_clock_io_or_randomness() {
    guards::lifecycle_is_pure().unwrap();
}

#[test]
fn there_is_one_tls_stack() {
    guards::one_tls_stack().unwrap();
}

#[test]
fn crates_use_each_other_only_along_the_arrows() {
    guards::crates_follow_the_arrows().unwrap();
}

#[test]
fn the_root_holds_only_what_the_layout_names() {
    guards::root_is_tidy().unwrap();
}
