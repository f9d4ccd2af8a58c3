//! Scheduled jobs as an SDK sees them.

use serde_json::{Value, json};

use crate::harness::{Answer, Emulator};

async fn fill(hub: &Emulator, count: usize) {
    for n in 0..count {
        hub.control(
            "PUT",
            &format!("/devices/d{n}"),
            &json!({"tags": {"n": n}}).to_string(),
        )
        .await;
    }
}

async fn put(hub: &Emulator, id: &str, body: &Value) -> Answer {
    hub.send("PUT", &format!("/jobs/v2/{id}"), None, Some(body))
        .await
}

fn update(condition: &str) -> Value {
    json!({"type": "scheduleUpdateTwin", "queryCondition": condition, "updateTwin": {"etag": "*", "tags": {"done": true, "n": null}}})
}

async fn finished(hub: &Emulator, id: &str) -> Value {
    let active = ["queued", "scheduled", "running"];
    let over = |job: &Value| !active.contains(&job["status"].as_str().unwrap());
    hub.seen(&format!("/jobs/v2/{id}"), over).await
}

#[tokio::test]
async fn a_job_changes_the_twins_its_condition_finds() {
    let hub = Emulator::start(&[]);
    fill(&hub, 5).await;
    let made = put(&hub, "job-1", &update("tags.n >= 2")).await;
    assert_eq!(
        (made.status, &made.json()["status"]),
        (200, &json!("queued"))
    );
    let job = finished(&hub, "job-1").await;
    assert_eq!(job["status"], "completed");
    assert_eq!(
        job["deviceJobStatistics"],
        json!({"deviceCount": 3, "failedCount": 0, "succeededCount": 3, "runningCount": 0, "pendingCount": 0})
    );
    let tags = async |id: &str| {
        hub.send("GET", &format!("/twins/{id}"), None, None)
            .await
            .json()["tags"]
            .clone()
    };
    assert_eq!(
        (tags("d1").await, tags("d2").await),
        (json!({"n": 1}), json!({"done": true}))
    );
    let again = put(&hub, "job-1", &update("*")).await;
    assert_eq!(
        (again.status, again.header("iothub-errorcode")),
        (409, Some("JobAlreadyExists"))
    );
    let items = hub
        .journal()
        .await
        .into_iter()
        .filter(|it| it["operation"] == "job-item")
        .count();
    assert_eq!(items, 3);
}

#[tokio::test]
async fn a_method_job_counts_devices_that_are_offline_as_failed() {
    let hub = Emulator::start(&[]);
    fill(&hub, 2).await;
    hub.control(
        "PUT",
        "/devices/d0/behaviour",
        r#"{"methods":{"*":{"payload":"hi"}}}"#,
    )
    .await;
    let body = json!({"type": "scheduleDeviceMethod", "queryCondition": "*", "cloudToDeviceMethod": {"methodName": "m", "payload": null, "responseTimeoutInSeconds": 5}});
    put(&hub, "m1", &body).await;
    let job = finished(&hub, "m1").await;
    assert_eq!(
        (&job["status"], &job["deviceJobStatistics"]["failedCount"]),
        (&json!("completed"), &json!(1))
    );
    let query = json!({"query": "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'm1' AND status = 'completed'"});
    let rows = hub
        .send("POST", "/devices/query", None, Some(&query))
        .await
        .json();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(
        rows[0]["outcome"]["deviceMethodResponse"],
        json!({"status": 200, "payload": "hi"})
    );
    let query = json!({"query": "SELECT * FROM devices.jobs WHERE deviceId = 'd1'"});
    let rows = hub
        .send("POST", "/devices/query", None, Some(&query))
        .await
        .json();
    assert_eq!(rows[0]["error"]["code"], "DeviceNotOnline");
}

#[tokio::test]
async fn a_condition_nobody_understands_fails_later() {
    let hub = Emulator::start(&[]);
    assert_eq!(put(&hub, "bad", &update("tags. = ")).await.status, 200);
    let job = finished(&hub, "bad").await;
    assert_eq!(job["status"], "failed");
    assert!(job["failureReason"].is_string());
}

#[tokio::test]
async fn a_planned_job_waits_counts_and_can_be_cancelled() {
    let hub = Emulator::start(&["--tier", "s1"]);
    fill(&hub, 1).await;
    let mut body = update("*");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    body["startTime"] = json!(soon.to_string());
    assert_eq!(put(&hub, "later", &body).await.status, 200);
    let second = put(&hub, "second", &update("*")).await;
    assert_eq!(
        (second.status, second.header("iothub-errorcode")),
        (429, Some("ThrottlingMaxActiveJobCountExceeded"))
    );
    let cancel = || hub.send("POST", "/jobs/v2/later/cancel", None, None);
    assert_eq!(cancel().await.json()["status"], "cancelled");
    let again = cancel().await;
    assert_eq!(
        (again.status, again.header("iothub-errorcode")),
        (405, Some("OperationNotAllowedInCurrentState"))
    );
    assert_eq!(put(&hub, "second", &update("*")).await.status, 200);
    finished(&hub, "second").await;
}

#[tokio::test]
async fn an_unknown_job_is_200_unknown_and_cannot_be_cancelled() {
    let hub = Emulator::start(&[]);
    let unknown = hub.send("GET", "/jobs/v2/nobody", None, None).await;
    assert_eq!(unknown.status, 200);
    assert_eq!(
        (&unknown.json()["type"], &unknown.json()["status"]),
        (&json!("unknown"), &json!("unknown"))
    );
    assert_eq!(
        hub.send("POST", "/jobs/v2/nobody/cancel", None, None)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn jobs_are_listed_by_kind_and_state_in_pages() {
    let hub = Emulator::start(&[]);
    for id in ["a", "b", "c"] {
        put(&hub, id, &update("*")).await;
        finished(&hub, id).await;
    }
    let list = async |query: &str, token: Option<&str>| {
        let mut request = hub
            .request("GET", &format!("/jobs/v2/query{query}"))
            .header("x-ms-max-item-count", "2");
        if let Some(token) = token {
            request = request.header("x-ms-continuation", token);
        }
        Answer::read(request.send().await.unwrap()).await
    };
    let first = list("?jobType=scheduleUpdateTwin&jobStatus=completed", None).await;
    assert_eq!(first.json().as_array().unwrap().len(), 2);
    let token = first.header("x-ms-continuation").unwrap();
    let second = list(
        "?jobType=scheduleUpdateTwin&jobStatus=completed",
        Some(token),
    )
    .await;
    assert_eq!(
        (
            &second.json()[0]["jobId"],
            second.header("x-ms-continuation")
        ),
        (&json!("c"), None)
    );
    assert_eq!(list("?jobStatus=failed", None).await.text, "[]");
    assert_eq!(
        list("?jobType=&jobStatus=", None)
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
}
