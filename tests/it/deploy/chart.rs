//! The Helm chart, rendered by helm itself, its resources held against Kubernetes' own schemas.

mod configured;
mod rendered;

use anyhow::{Context as _, Result};
use black_box::TestDir;
use serde_json::{Value, json};

use super::{members, texts};
use rendered::{helm, render, schema, values};

/// Everything on: each way to log in, each optional resource.
fn everything() -> Value {
    json!({
        "image": {"repository": "registry.example.com/mender-iothub"},
        "nats": {
            "url": "nats://nats:4222", "replicas": 3,
            "worker": {"existingSecret": "nats-worker"},
            "setup": {"existingSecret": "nats-setup", "method": "credentials", "key": "setup.creds"},
        },
        "sealingKey": {"existingSecret": "sealing"},
        "mongodb": {"existingSecret": "mongodb"},
        "integrations": [
            {"existingSecret": "hub", "key": "connection-string", "args": ["--tier", "s2", "--units", "2"]},
            {"tenant": "t2", "args": ["--auth", "managed-identity", "--hub", "h.azure-devices.net"]},
        ],
        "config": {
            "retry": {"max_age_s": 1_209_600}, "hub": {"allowed_hosts": ["a:1", "b"]},
            "sweep": {"max_change_share": 0.25, "adopt_unrecorded": true},
            "log": {"format": "text"}, "nats": {"prefix": "other"},
        },
        "workloadIdentity": {"enabled": true, "clientId": "00000000-0000-0000-0000-000000000000"},
        "serviceMonitor": {"enabled": true, "labels": {"release": "prometheus"}},
        "networkPolicy": {
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "extraEgress": [{"to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}], "ports": [{"port": 80}]}],
        },
        "podLabels": {"team": "iot"}, "nodeSelector": {"kubernetes.io/os": "linux"},
        "imagePullSecrets": [{"name": "registry"}], "priorityClassName": "high",
        "extraEnv": [{"name": "SSL_CERT_DIR", "value": "/ca"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
    })
}

/// What must be said, and nothing else.
fn least() -> Value {
    json!({
        "image": {"repository": "registry.example.com/mender-iothub"},
        "nats": {"url": "nats://nats:4222"},
        "sealingKey": {"existingSecret": "sealing"},
    })
}

#[test]
fn helm_finds_nothing_wrong_and_every_resource_fits_the_schema_of_its_kind() -> Result<()> {
    let Some(helm) = helm("the_chart_and_the_schemas_of_kubernetes") else {
        return Ok(());
    };
    let dir = TestDir::new("chart-schemas")?;
    for given in [least(), everything()] {
        let file = values(dir.path(), &given)?;
        rendered::lint(&helm, &file)?;
        let all = render(&helm, &file)?;
        assert!(all.resources.len() >= 6, "{}", all.resources.len());
        for resource in &all.resources {
            // A resource of an operator: the schemas are those of Kubernetes itself.
            if resource["kind"] == "ServiceMonitor" {
                continue;
            }
            let schema = schema(resource)?;
            let validator =
                jsonschema::validator_for(&schema).map_err(|it| anyhow::anyhow!("{it}"))?;
            let wrong: Vec<_> = validator
                .iter_errors(resource)
                .map(|it| format!("{}: {it}", it.instance_path()))
                .collect();
            assert_eq!(wrong, [""; 0], "{resource}");
        }
    }
    dir.passed();
    Ok(())
}

#[test]
fn values_that_do_not_exist_or_are_missing_are_refused_by_name() -> Result<()> {
    let Some(helm) = helm("values_that_do_not_exist") else {
        return Ok(());
    };
    let dir = TestDir::new("chart-values")?;
    let file = values(dir.path(), &least())?;
    let refused = |set: &str| {
        rendered::template(&helm, &file, &["--set", set])
            .unwrap_err()
            .to_string()
    };
    for (set, named) in [
        ("replica=3", "replica"),
        ("nats.worker.secret=x", "secret"),
        ("nats.url=", "nats.url: the servers"),
        ("nats.url=nats://user:password@nats:4222", "nats"),
        ("image.repository=", "image.repository: push"),
        (
            "sealingKey.existingSecret=",
            "sealingKey.existingSecret: a Secret",
        ),
    ] {
        let said = refused(set);
        assert!(said.contains(named), "{set}: {said}");
    }
    dir.passed();
    Ok(())
}

#[test]
fn pods_are_restricted_and_what_selects_them_does() -> Result<()> {
    let Some(helm) = helm("pods_are_restricted") else {
        return Ok(());
    };
    let dir = TestDir::new("chart-pods")?;
    let all = render(&helm, &values(dir.path(), &everything())?)?;
    for kind in ["Deployment", "Job"] {
        let pod = &all.one(kind)?["spec"]["template"]["spec"];
        restricted(pod);
        let volumes: Vec<&str> = pod["volumes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["name"].as_str())
            .collect();
        for container in rendered::containers(pod) {
            for mount in container["volumeMounts"].as_array().into_iter().flatten() {
                let name = mount["name"].as_str().context("a mount has a name")?;
                assert!(volumes.contains(&name), "{kind}: {name}");
            }
        }
    }
    let labels = &all.one("Deployment")?["spec"]["template"]["metadata"]["labels"];
    let of_setup = &all.one("Job")?["spec"]["template"]["metadata"]["labels"];
    for (kind, path, setup) in [
        ("Deployment", "/spec/selector/matchLabels", false),
        ("PodDisruptionBudget", "/spec/selector/matchLabels", false),
        ("Service", "/spec/selector", false),
        ("NetworkPolicy", "/spec/podSelector/matchLabels", true),
    ] {
        let selector = all.one(kind)?.pointer(path).context(kind)?;
        let selects =
            |labels: &Value| members(selector).all(|(name, value)| labels.get(name) == Some(value));
        assert!(selects(labels), "{kind}");
        assert_eq!(selects(of_setup), setup, "{kind} and the job");
    }
    let monitor = &all.one("ServiceMonitor")?["spec"];
    let job = &monitor["endpoints"][0]["relabelings"][0];
    assert_eq!(
        *job,
        json!({"targetLabel": "job", "replacement": "mender-iothub"})
    );
    let monitored = &monitor["selector"]["matchLabels"];
    let service = &all.one("Service")?["metadata"]["labels"];
    assert!(members(monitored).all(|(name, value)| service.get(name) == Some(value)));
    dir.passed();
    Ok(())
}

/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/>, restricted.
fn restricted(pod: &Value) {
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    assert_eq!(pod["automountServiceAccountToken"], false);
    for container in rendered::containers(pod) {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(texts(&context["capabilities"]["drop"]), ["ALL"]);
        assert!(container["resources"]["limits"]["memory"].is_string());
    }
}

/// The jobs' right to make streams is not the workers', and the other way round.
#[test]
fn workers_and_setup_have_credentials_of_their_own() -> Result<()> {
    let Some(helm) = helm("workers_and_setup_have_credentials") else {
        return Ok(());
    };
    let dir = TestDir::new("chart-credentials")?;
    let all = render(&helm, &values(dir.path(), &everything())?)?;
    for (kind, own, other) in [
        ("Deployment", "nats-worker", "nats-setup"),
        ("Job", "nats-setup", "nats-worker"),
    ] {
        let text = all.one(kind)?.to_string();
        assert!(text.contains(own) && !text.contains(other), "{kind}");
    }
    assert!(
        !all.one("Deployment")?.to_string().contains("\"hub\""),
        "the hub's secret is for the job"
    );
    dir.passed();
    Ok(())
}
