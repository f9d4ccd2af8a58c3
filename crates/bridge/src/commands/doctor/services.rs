//! Mender's services.

use super::finding::Finding;
use super::{Findings, Scene};
use crate::adapters::{ServiceHealth, services};

const CHECK: &str = "Mender";

pub(super) async fn check(scene: &Scene<'_>) -> Findings {
    let services = services(scene.config).await?;
    Ok(services.iter().map(of_service).collect())
}

fn of_service(service: &ServiceHealth) -> Finding {
    let ServiceHealth {
        name,
        key,
        url,
        health,
    } = service;
    match health {
        Ok(()) => Finding::ok(CHECK, format!("{name} at {url} is well")),
        Err(error) => Finding::problem(CHECK, format!("{url}: {error}")).with_advice(format!(
            "is `{key}` the internal address of {name}, reachable from here, and is {name} well?"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn a_service_that_is_away_is_named_with_its_key() {
        let mut service = ServiceHealth {
            name: "deviceauth",
            key: "mender.deviceauth_url",
            url: "http://d".to_owned(),
            health: Err("connection refused".to_owned()),
        };
        let found = of_service(&service);
        assert_eq!(found.severity, Severity::Problem);
        assert!(found.advice.unwrap().contains("mender.deviceauth_url"));
        service.health = Ok(());
        assert_eq!(of_service(&service).severity, Severity::Ok);
    }
}
