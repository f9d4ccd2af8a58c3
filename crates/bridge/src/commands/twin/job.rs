//! `twin job …`.

use anyhow::Context as _;
use messages::twin::JobReply;
use serde_json::{Value, json};

use super::ask::{Service, Subject};
use super::{read_json, request};
use crate::cli::{Job, NewJob, OneJob, Output};
use crate::print;

pub(super) async fn run(service: &Service, what: Job, output: Output) -> anyhow::Result<()> {
    let (verb, of, body) = match what {
        Job::Create(new) => {
            let body = new_job(&new)?;
            ("job-create", new.job, body)
        }
        Job::Get(of) => ("job-get", of, Value::Null),
        Job::Cancel(of) => ("job-cancel", of, Value::Null),
    };
    let OneJob { of, id } = of;
    let body = if body.is_null() {
        json!({ "id": id })
    } else {
        body
    };
    let subject = Subject::tenant(verb, &of.tenant);
    let reply = service.ask(&subject, body.to_string().into_bytes()).await?;
    let job = JobReply::parse(&reply).context("the reply of the twin service")?;
    print::result(output, &job, in_words)
}

fn new_job(new: &NewJob) -> anyhow::Result<Value> {
    let mut job = json!({
        "id": new.job.id,
        "query": new.query,
        "max_execution_s": new.max_execution_s,
    });
    if let Some(start) = &new.start_time {
        job["start_time"] = start.as_str().into();
    }
    if let Some(name) = &new.method {
        job["method"] = serde_json::to_value(request(name.clone(), &new.call)?)?;
        return Ok(job);
    }
    for (section, file) in [("desired", &new.desired), ("tags", &new.tags)] {
        if let Some(file) = file {
            job["patch"][section] = read_json(file)?;
        }
    }
    Ok(job)
}

fn in_words(job: &JobReply) -> String {
    let counts = job.counts;
    print::facts([
        ("job", job.id.to_string()),
        ("type", print::harmless(&job.work)),
        ("status", job.status.as_str().to_owned()),
        ("devices", counts.devices.to_string()),
        ("succeeded", counts.succeeded.to_string()),
        ("failed", counts.failed.to_string()),
        ("running", counts.running.to_string()),
        ("pending", counts.pending.to_string()),
    ])
}
