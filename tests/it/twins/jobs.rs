//! Jobs: for the tenant's own devices, under names of its own.

use anyhow::Result;
use black_box::until;
use serde_json::{Value, json};

use super::BackEnd;
use crate::stage::{SOON, Stage};

async fn ended(back_end: &BackEnd, tenant: &str, id: &str) -> Result<Value> {
    until(SOON, &format!("the job {id} to end"), async || {
        let body = json!({ "id": id }).to_string();
        let job = back_end.done(&format!("job-get.{tenant}"), &body).await?;
        let over = ["completed", "failed", "cancelled"].map(|status| json!(status));
        Ok(over.contains(&job["status"]).then_some(job))
    })
    .await
}

#[tokio::test]
async fn a_job_edits_the_tenants_devices_that_its_query_finds_and_no_others() -> Result<()> {
    let stage = Stage::with_devices("twin-jobs", &["a1", "a2"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    stage.tenant("b").await?;
    stage.accept(&["b.b1".to_owned()]).await?;
    stage.hub.put_device("stranger", &json!({})).await?;
    let north = json!({"tags": {"site": "north"}});
    for device in ["a1", "b1", "stranger"] {
        stage.hub.put_device(device, &north).await?;
    }
    let job = r#"{"id":"rate","query":"SELECT * FROM devices WHERE tags.site = 'north' OR 1 = 1 AND tags.site = 'north'",
        "patch":{"desired":{"rate":1.10}}}"#;
    let made = back_end.done("job-create.=", job).await?;
    assert_eq!(
        (&made["id"], &made["type"]),
        (&json!("rate"), &json!("patch"))
    );
    let job = ended(&back_end, "=", "rate").await?;
    assert_eq!(job["status"], json!("completed"), "{job}");
    assert_eq!(job["counts"]["succeeded"], json!(1), "{job}");
    for device in stage.hub.devices().await? {
        let changed = device["twin"]["properties"]["desired"]["rate"].is_number();
        assert_eq!(changed, device["deviceId"] == json!("a1"), "{device}");
    }

    let again = back_end
        .refused("job-create.=", r#"{"id":"rate","patch":{"tags":{}}}"#, 409)
        .await?;
    assert_eq!(again, "there is a job of this id");
    // The same name is another job for another tenant.
    for verb in ["job-get", "job-cancel"] {
        let text = back_end
            .refused(&format!("{verb}.b"), r#"{"id":"rate"}"#, 404)
            .await?;
        assert_eq!(text, "no such job");
    }
    let nobody = r#"{"id":"none","query":"SELECT * FROM devices WHERE deviceId = 'b1'","patch":{"tags":{}}}"#;
    back_end.refused("job-create.=", nobody, 400).await?;
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn a_job_that_has_not_begun_can_be_cancelled() -> Result<()> {
    let stage = Stage::with_devices("twin-job-cancel", &["a1"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    let start = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let start = start.to_string();
    let job = json!({"id": "later", "method": {"name": "reboot"}, "start_time": start}).to_string();
    back_end.done("job-create.=", &job).await?;
    back_end
        .refused("job-cancel.=", r#"{"id":"late"}"#, 404)
        .await?;
    back_end.done("job-cancel.=", r#"{"id":"later"}"#).await?;
    let job = ended(&back_end, "=", "later").await?;
    assert_eq!(
        (&job["status"], &job["type"]),
        (&json!("cancelled"), &json!("method"))
    );
    let text = back_end
        .refused("job-cancel.=", r#"{"id":"later"}"#, 409)
        .await?;
    assert!(text.contains("cannot be cancelled"), "{text}");
    stage.dir.passed();
    Ok(())
}

#[tokio::test]
async fn methods_of_a_job_count_devices_that_are_not_connected_as_failed() -> Result<()> {
    let stage = Stage::with_devices("twin-job-methods", &["a1", "a2"]).await?;
    let back_end = BackEnd::of(&stage).await?;
    let script = json!({"methods": {"reboot": "echo"}});
    let control = stage.hub.control();
    control
        .put::<Value>("/devices/a1/behaviour", &script)
        .await?;
    let job = r#"{"id":"reboot","method":{"name":"reboot"}}"#;
    back_end.done("job-create.=", job).await?;
    let job = ended(&back_end, "=", "reboot").await?;
    assert_eq!(job["status"], json!("completed"), "{job}");
    assert_eq!(
        (&job["counts"]["succeeded"], &job["counts"]["failed"]),
        (&json!(1), &json!(1)),
        "{job}"
    );
    stage.dir.passed();
    Ok(())
}
