//! Streams, buckets and consumers: whether they are as `setup` makes them, and survive a restart.

use jetstream::{Action, Change, Error, Inspected, Setup};

use super::finding::Finding;
use super::{Findings, Scene};

const CHECK: &str = "streams";

pub(super) async fn check(scene: &Scene<'_>) -> Findings {
    let (context, names) = (&scene.session.context, &scene.session.names);
    let config = scene.config;
    let how = Setup {
        replicas: Some(config.nats.replicas),
        dry_run: true,
        without_source: !config.source.enabled,
    };
    let mut found = match jetstream::setup(context, names, how).await {
        Ok(changes) => changes.iter().filter_map(of_change).collect(),
        Err(error @ Error::Overlap { .. }) => vec![overlap(&error)],
        Err(error) => return Err(error.into()),
    };
    let streams = jetstream::inspect(context, names).await?;
    let in_cluster = scene.session.client.server_info().cluster.is_some();
    for stream in streams
        .iter()
        .filter(|it| config.source.enabled || !it.source)
    {
        found.extend(of_stream(stream, config.nats.replicas));
    }
    found.extend(alone(in_cluster, config.nats.replicas));
    if found.is_empty() {
        found.push(Finding::ok(
            CHECK,
            format!("{} streams are as they should be", streams.len()),
        ));
    }
    Ok(found)
}

fn overlap(error: &Error) -> Finding {
    Finding::problem(CHECK, error.to_string()).with_advice(
        "find out whose it is (`nats consumer info`), and remove it or give it another filter",
    )
}

fn of_change(change: &Change) -> Option<Finding> {
    let (kind, name) = (change.kind, &change.name);
    match &change.action {
        Action::Unchanged => None,
        Action::Created => Some(
            Finding::problem(CHECK, format!("{kind} {name} is missing"))
                .with_advice("mender-iothub setup, as a user who may make streams"),
        ),
        Action::Changed(what) => Some(
            Finding::problem(CHECK, format!("{kind} {name} is set up differently: {}", what.join(", ")))
                .with_advice("mender-iothub setup puts it right; `setup --dry-run` shows what it would do"),
        ),
        Action::Waiting => Some(
            Finding::problem(CHECK, format!("{kind} {name}: Mender's stream is not there, so no events come"))
                .with_advice(
                    "does Mender's workflows server use this NATS (WORKFLOWS_NATS_URI), and has it been started? \
                     Without Mender's stream: `source.enabled = false`",
                ),
        ),
    }
}

fn of_stream(stream: &Inspected, replicas: usize) -> Vec<Finding> {
    let mut found = Vec::new();
    let name = &stream.name;
    if !stream.on_disk {
        found.push(
            Finding::problem(CHECK, format!("stream {name} is kept in memory: a restart of NATS loses it"))
                .with_advice("make it anew with storage on disk (`storage: file`); Mender's compose file keeps nothing on disk"),
        );
    }
    if stream.leaderless {
        found.push(
            Finding::problem(
                CHECK,
                format!("stream {name} has no leader: it can be neither read nor written"),
            )
            .with_advice("bring back the servers of the NATS cluster that are away"),
        );
    } else if !stream.behind.is_empty() {
        let behind = stream.behind.join(", ");
        found.push(
            Finding::problem(
                CHECK,
                format!("stream {name}: the copies on {behind} are away or behind"),
            )
            .with_advice("see to these servers before another one fails"),
        );
    }
    if stream.source && stream.replicas < replicas {
        let has = stream.replicas;
        found.push(
            Finding::advice(CHECK, format!("stream {name} has {has} copies, and ours have {replicas}: events can be lost before we have them"))
                .with_advice(format!("set the workflows server's WORKFLOWS_NATS_STREAM_REPLICAS, or `nats stream edit {name} --replicas {replicas}`")),
        );
    }
    found
}

fn alone(in_cluster: bool, replicas: usize) -> Option<Finding> {
    (in_cluster && replicas == 1).then(|| {
        Finding::advice(
            CHECK,
            "NATS is a cluster, and each stream has one copy: with its server it is away or lost",
        )
        .with_advice("set `nats.replicas = 3`, then mender-iothub setup")
    })
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    fn stream() -> Inspected {
        Inspected {
            name: "S".to_owned(),
            source: false,
            on_disk: true,
            replicas: 3,
            behind: Vec::new(),
            leaderless: false,
            server_time_us: None,
        }
    }

    #[test]
    fn each_fault_of_a_stream_is_found() {
        assert_eq!(of_stream(&stream(), 3), []);
        let mut memory = stream();
        memory.on_disk = false;
        let mut headless = stream();
        headless.leaderless = true;
        let mut behind = stream();
        behind.behind = vec!["n2".to_owned()];
        for (stream, text) in [(memory, "memory"), (headless, "leader"), (behind, "n2")] {
            let found = of_stream(&stream, 3);
            assert_eq!((found.len(), found[0].severity), (1, Severity::Problem));
            assert!(found[0].what.contains(text), "{found:?}");
        }
        let mut few = stream();
        (few.source, few.replicas) = (true, 1);
        assert_eq!(of_stream(&few, 3)[0].severity, Severity::Advice);
        assert!(alone(true, 1).is_some() && alone(true, 3).is_none() && alone(false, 1).is_none());
    }
}
