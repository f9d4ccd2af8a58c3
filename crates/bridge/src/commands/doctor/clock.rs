//! This machine's clock against that of NATS. The hubs' clocks are checked with the hubs.

use super::finding::Finding;
use super::{Findings, Scene};
use crate::print;

pub(super) const CHECK: &str = "clock";
/// Seconds beyond which logs and tables mislead.
const ODD: i64 = 5;
/// Seconds beyond which certificates and tokens of users are judged wrongly.
const WRONG: i64 = 60;
const MICROS: i64 = 1_000_000;

pub(super) async fn check(scene: &Scene<'_>) -> Findings {
    let streams = jetstream::inspect(&scene.session.context, &scene.session.names).await?;
    let now = print::now().as_micros();
    let theirs = streams.last().and_then(|stream| stream.server_time_us);
    Ok(theirs.map_or_else(
        || {
            vec![Finding::not_checked(
                CHECK,
                "NATS tells no time, since no stream of ours is there",
            )]
        },
        |theirs| vec![of_difference("NATS", (theirs - now) / MICROS)],
    ))
}

/// `ahead`: seconds that the other clock is ahead of this machine's.
pub(super) fn of_difference(whose: &str, ahead: i64) -> Finding {
    let what = match ahead {
        0.. => format!("{whose} is {ahead} s ahead of this machine"),
        behind => format!("{whose} is {} s behind this machine", -behind),
    };
    let advice = "let an NTP service set the clocks of all machines";
    match ahead.abs() {
        small if small <= ODD => Finding::ok(
            CHECK,
            format!("{whose} and this machine agree about the time"),
        ),
        ..=WRONG => Finding::advice(CHECK, what).with_advice(advice),
        _ => Finding::problem(
            CHECK,
            format!("{what}: certificates and tokens are judged by a wrong time"),
        )
        .with_advice(advice),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn small_differences_pass_and_large_ones_do_not() {
        for (seconds, severity) in [
            (0, Severity::Ok),
            (-5, Severity::Ok),
            (6, Severity::Advice),
            (-60, Severity::Advice),
            (61, Severity::Problem),
            (-7_200, Severity::Problem),
        ] {
            assert_eq!(
                of_difference("NATS", seconds).severity,
                severity,
                "{seconds}"
            );
        }
        assert!(of_difference("NATS", -90).what.contains("90 s behind"));
    }
}
