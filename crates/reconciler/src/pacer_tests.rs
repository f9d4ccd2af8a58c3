//! Requests that ask for their turn, on a clock that the test moves.

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn reserve(pacer: &Pacer, allowed: PerMinute) -> Duration {
    pacer.reserve("h", allowed, PATIENCE).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_unknown_allowance_is_not_paced_until_the_hub_complains() {
    let pacer = Pacer::default();
    assert_eq!(reserve(&pacer, None), Duration::ZERO);
    pacer.throttled("h", None, Duration::from_secs(10));
    assert_eq!(reserve(&pacer, None), Duration::from_secs(10));
    assert_eq!(pacer.reserve("other", None, PATIENCE), Ok(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_pace_tells_what_is_allowed_and_what_a_refusal_left_of_it() {
    let pacer = Pacer::default();
    reserve(&pacer, Some(100));
    let before = &pacer.paces()[0];
    assert_eq!((before.allowed, before.present), (Some(100), Some(100)));
    assert_eq!((before.refusals, before.last_refusal), (0, None));
    pacer.throttled("h", Some(100), Duration::from_secs(10));
    pacer.throttled("h", Some(100), Duration::from_secs(10));
    tokio::time::advance(Duration::from_secs(4)).await;
    let after = &pacer.paces()[0];
    assert!(after.present < Some(100), "{after:?}");
    assert_eq!(after.paused_for, Duration::from_secs(6));
    assert_eq!(after.refusals, 1, "those of one burst count once");
    assert_eq!(after.last_refusal, Some(Duration::from_secs(4)));
}

#[tokio::test(start_paused = true)]
async fn waits_are_counted_and_outlast_a_change_of_what_is_allowed() {
    let pacer = Pacer::default();
    // The first goes at once, and so does the second: a tenth of a minute's allowance.
    for _ in 0..3 {
        reserve(&pacer, Some(10));
    }
    let sent_away = pacer.reserve("h", Some(10), Duration::from_secs(1));
    assert!(sent_away.is_err());
    reserve(&pacer, Some(20));
    let shown = &pacer.paces()[0];
    assert_eq!((shown.waits, shown.waited), (2, Duration::from_secs(6)));
    reserve(&pacer, None);
    assert_eq!(pacer.paces()[0].present, None, "nothing limits it");
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_and_then_the_allowed_rate_holds() {
    let pacer = Pacer::default();
    let waits: Vec<_> = (0..14)
        .map(|_| reserve(&pacer, Some(100)).as_millis())
        .collect();
    assert_eq!(
        waits[..11],
        [0; 11],
        "a tenth of a minute's allowance at once"
    );
    assert_eq!(waits[12] - waits[11], 600);
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!(reserve(&pacer, Some(100)), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_slows_below_the_refused_pace_and_successes_bring_it_back() {
    let pacer = Pacer::default();
    for _ in 0..200 {
        reserve(&pacer, None);
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    pacer.throttled("h", None, Duration::ZERO);
    reserve(&pacer, None);
    let wait = reserve(&pacer, None).as_millis();
    assert!(
        (12..=14).contains(&wait),
        "a third slower than 10 ms, not {wait}"
    );
    for _ in 0..800 {
        pacer.succeeded("h", None);
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    reserve(&pacer, None);
    assert_eq!(reserve(&pacer, None), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_is_sent_away_takes_no_place_and_comes_back_in_turn() {
    let pacer = Pacer::default();
    let ask = || pacer.reserve("h", Some(60), Duration::from_secs(5));
    while ask().is_ok() {}
    let away: Vec<_> = (0..50).map(|_| ask().unwrap_err().as_secs()).collect();
    assert!(away.is_sorted() && away[49] - away[0] == 49, "{away:?}");
    tokio::time::advance(Duration::from_secs(6)).await;
    let served = (0..50).filter(|_| ask().is_ok()).count();
    assert_eq!(served, 6, "one for each second that passed");
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_one_tries_and_the_others_go_once_it_is_taken() {
    let pacer = Pacer::default();
    let pause = Duration::from_secs(10);
    pacer.throttled("h", None, pause);
    pacer.succeeded("h", None);
    // These have waited for the end of the pause.
    for _ in 0..3 {
        assert!(reserve(&pacer, None) >= pause);
    }
    tokio::time::advance(pause).await;
    let going = || (0..3).filter(|_| pacer.goes("h", None)).count();
    assert_eq!(going(), 1);
    // So does who comes anew.
    assert!(reserve(&pacer, None) >= ANSWER);
    tokio::time::advance(ANSWER).await;
    assert_eq!(going(), 1, "there was no answer");
    pacer.throttled("h", None, pause);
    tokio::time::advance(pause).await;
    assert_eq!(going(), 1, "refused again");
    pacer.succeeded("h", None);
    assert_eq!(going(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_idle_time_does_not_slow_to_the_idle_pace() {
    let pacer = Pacer::default();
    for _ in 0..50 {
        reserve(&pacer, None);
        tokio::time::advance(Duration::from_secs(20)).await;
    }
    pacer.throttled("h", None, Duration::ZERO);
    reserve(&pacer, None);
    assert!(reserve(&pacer, None) <= IDLE * 4 / 3);
}
