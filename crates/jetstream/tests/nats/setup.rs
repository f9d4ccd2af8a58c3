//! Setting up.

use jetstream::{Action, Error, Names, NatsStreams, Setup, setup, status};

use crate::installation::Installation;

fn actions(changes: &[jetstream::Change]) -> Vec<(&str, &Action)> {
    changes
        .iter()
        .map(|change| (change.name.as_str(), &change.action))
        .collect()
}

#[tokio::test]
async fn setting_up_twice_changes_nothing_the_second_time() {
    let nats = Installation::bare("setup").await;
    nats.make_source().await;
    let first = nats.set_up().await;
    assert_eq!(first.len(), 11, "{first:?}");
    assert!(
        first.iter().all(|change| change.action == Action::Created),
        "{first:?}"
    );
    let second = nats.set_up().await;
    assert!(
        second
            .iter()
            .all(|change| change.action == Action::Unchanged),
        "{second:?}"
    );
    nats.dir.passed();
}

#[tokio::test]
async fn without_a_source_mender_s_stream_is_left_alone() {
    let nats = Installation::bare("without-source").await;
    let how = Setup {
        without_source: true,
        ..Setup::default()
    };
    let changes = setup(&nats.context, &nats.names, how).await.unwrap();
    let source = nats.names.source_stream();
    assert!(changes.iter().all(|change| !change.name.contains(source)));
    nats.dir.passed();
}

#[tokio::test]
async fn a_dry_run_tells_what_would_be_made_and_makes_nothing() {
    let nats = Installation::bare("dry-run").await;
    let how = Setup {
        dry_run: true,
        ..Setup::default()
    };
    let changes = setup(&nats.context, &nats.names, how).await.unwrap();
    assert_eq!(
        actions(&changes).first(),
        Some(&("IOTHUB_EVENTS", &Action::Created))
    );
    let state = status(&nats.context, &nats.names).await.unwrap();
    assert!(state.streams.iter().all(|stream| !stream.exists));
    nats.dir.passed();
}

#[tokio::test]
async fn a_setting_that_drifted_is_put_right_and_an_operators_own_is_kept() {
    let nats = Installation::new("drift").await;
    let mut stream = nats.context.get_stream("IOTHUB_DLQ").await.unwrap();
    let mut config = stream.info().await.unwrap().config.clone();
    config.max_messages_per_subject = -1;
    config.max_bytes = 1 << 30;
    nats.context.update_stream(&config).await.unwrap();
    let changes = nats.set_up().await;
    let letters = changes.iter().find(|change| change.name == "IOTHUB_DLQ");
    let expected = Action::Changed(vec!["max_msgs_per_subject: -1 -> 1".to_owned()]);
    assert_eq!(letters.map(|change| &change.action), Some(&expected));
    let kept = stream.info().await.unwrap().config.max_bytes;
    assert_eq!(kept, 1 << 30);
    nats.dir.passed();
}

#[tokio::test]
async fn a_source_stream_that_is_not_there_yet_is_waited_for() {
    let nats = Installation::bare("waiting").await;
    let changes = nats.set_up().await;
    let ingest = ("WORKFLOWS/iothub-ingest", &Action::Waiting);
    assert!(actions(&changes).contains(&ingest), "{changes:?}");
    nats.dir.passed();
}

#[tokio::test]
async fn another_reader_of_the_same_messages_is_refused_by_name() {
    let nats = Installation::bare("overlap").await;
    nats.make_source().await;
    let other = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("other".to_owned()),
        filter_subject: "WORKFLOWS.lifecycle.device.*".to_owned(),
        ..Default::default()
    };
    let made = nats
        .context
        .create_consumer_on_stream(other, "WORKFLOWS")
        .await;
    made.unwrap();
    let error = setup(&nats.context, &nats.names, Setup::default())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Overlap { consumer, .. } if consumer == "other"),
        "{error}"
    );
    nats.dir.passed();
}

#[tokio::test]
async fn a_stream_that_sources_the_same_messages_is_refused_too() {
    let nats = Installation::bare("source").await;
    nats.make_source().await;
    let sourcing = async_nats::jetstream::stream::Config {
        name: "COPY".to_owned(),
        num_replicas: 1,
        sources: Some(vec![async_nats::jetstream::stream::Source {
            name: "WORKFLOWS".to_owned(),
            filter_subject: Some("WORKFLOWS.lifecycle.>".to_owned()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    nats.context.create_stream(sourcing).await.unwrap();
    // The server makes the consumer of a source in its own time.
    black_box::until(crate::installation::PATIENCE, "a refusal", async || {
        let how = Setup {
            dry_run: true,
            ..Setup::default()
        };
        let tried = setup(&nats.context, &nats.names, how).await;
        Ok(matches!(tried, Err(Error::Overlap { .. })).then_some(()))
    })
    .await
    .unwrap();
    nats.dir.passed();
}

#[tokio::test]
async fn without_setup_the_worker_says_what_to_run() {
    let nats = Installation::bare("missing").await;
    let error = NatsStreams::open(&nats.context, &nats.names)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "stream IOTHUB_EVENTS does not exist: run `mender-iothub setup`"
    );
    nats.dir.passed();
}

#[tokio::test]
async fn two_prefixes_live_side_by_side() {
    let nats = Installation::bare("prefixes").await;
    for (prefix, source) in [("one", "A"), ("two", "B")] {
        let names = Names::new(prefix, source, &format!("{source}.>")).unwrap();
        let changes = setup(&nats.context, &names, Setup::default())
            .await
            .unwrap();
        assert!(
            changes
                .iter()
                .all(|change| change.action != Action::Unchanged)
        );
    }
    nats.dir.passed();
}
