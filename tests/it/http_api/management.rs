//! Integrations, as the web UI sets them.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Place, device};

#[tokio::test(flavor = "multi_thread")]
async fn an_integration_is_made_shown_masked_changed_and_removed() -> Result<()> {
    let place = Place::new("http-integration").await?;
    let new = place.integration();
    let (one, other) = tokio::join!(
        place.management("POST /integrations", &new),
        place.management("POST /integrations", &new)
    );
    let mut statuses = [one?.0.as_u16(), other?.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "one of two that race");

    let (_, listed) = place.management("GET /integrations", &Value::Null).await?;
    let string = listed[0]["credentials"]["connection_string"]
        .as_str()
        .unwrap_or_default();
    let (_, key) = place
        .hub
        .connection_string()
        .rsplit_once("SharedAccessKey=")
        .unwrap_or_default();
    let masked = format!("SharedAccessKey={}...<omitted>", &key[..4]);
    assert!(string.ends_with(&masked), "{string}");
    assert!(!listed.to_string().contains(&key[..5]), "{listed}");

    let id = listed[0]["id"].as_str().unwrap_or_default().to_owned();
    let line = format!("PUT /integrations/{id}/credentials");
    let (status, answer) = place.management(&line, &listed[0]["credentials"]).await?;
    assert_eq!(
        status,
        StatusCode::BAD_REQUEST,
        "what is shown is no credential: {answer}"
    );
    let (status, _) = place.management(&line, &new["credentials"]).await?;
    assert_eq!(status, StatusCode::NO_CONTENT);

    let (_, refused) = place
        .management("POST /integrations", &unresolvable())
        .await?;
    let error = refused["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("hostname does not refer to a trusted domain."),
        "{error}"
    );

    let device = device(&place).await?;
    let provision = json!({"id": device, "status": "accepted", "revision": 1});
    place.internal("POST /tenants//devices", &provision).await?;
    place.hub_shows(&device, Some("enabled")).await?;
    let line = format!("DELETE /integrations/{id}");
    let (status, answer) = place.management(&line, &json!({})).await?;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    place
        .internal(&format!("DELETE /tenants//devices/{device}"), &Value::Null)
        .await?;
    place.hub_shows(&device, None).await?;
    place.events(2).await?;
    let (status, answer) = place.management(&line, &json!({})).await?;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    let (_, listed) = place.management("GET /integrations", &Value::Null).await?;
    assert_eq!(listed, json!([]));
    place.dir.passed();
    Ok(())
}

fn unresolvable() -> Value {
    let string =
        "HostName=h.example;SharedAccessKeyName=p;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==";
    json!({"provider": "iot-hub", "credentials": {"type": "sas", "connection_string": string}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_tenant_has_no_integration_and_no_events_and_the_hub_stays() -> Result<()> {
    let place = Place::new("http-tenant").await?;
    let new = place.integration();
    let of_tenant = async |line: &str, body: &Value| {
        let to = place.worker.management()?;
        let (method, path) = line.split_once(' ').unwrap_or_default();
        let url = format!("{}{}{path}", to.base(), super::MANAGEMENT);
        let client = reqwest::Client::builder().no_proxy().build()?;
        let request = client
            .request(method.parse()?, url)
            .bearer_auth(super::token("t1"));
        let answer = request.body(body.to_string()).send().await?;
        anyhow::Ok((answer.status(), answer.text().await?))
    };
    let (status, answer) = of_tenant("POST /integrations", &new).await?;
    ensure!(status == StatusCode::CREATED, "{answer}");
    let made: Value = place
        .mender
        .control()
        .post(
            "/simulator/devices",
            &json!({"tenant": "t1", "count": 1, "publish": false}),
        )
        .await?;
    let id = made["ids"][0].as_str().unwrap_or_default().to_owned();
    let provision = json!({"id": id, "status": "accepted", "revision": 1});
    place
        .internal("POST /tenants/t1/devices", &provision)
        .await?;
    place.hub_shows(&id, Some("enabled")).await?;
    black_box::until(crate::stage::SOON, "the event", async || {
        let (_, listed) = of_tenant("GET /events", &Value::Null).await?;
        Ok((listed != "[]").then_some(()))
    })
    .await?;
    let (status, answer) = place.internal("DELETE /tenants/t1", &Value::Null).await?;
    assert_eq!((status, answer), (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(of_tenant("GET /events", &Value::Null).await?.1, "[]");
    assert_eq!(of_tenant("GET /integrations", &Value::Null).await?.1, "[]");
    place.hub_shows(&id, Some("enabled")).await?;
    assert_eq!(
        place.internal("DELETE /tenants/t1", &Value::Null).await?.0,
        204
    );
    assert_eq!(
        place.internal("DELETE /tenants/", &Value::Null).await?.0,
        404
    );
    place.dir.passed();
    Ok(())
}
