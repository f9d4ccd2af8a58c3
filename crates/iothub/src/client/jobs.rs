//! Scheduled jobs, and import and export jobs.

use bytes::Bytes;
use futures::stream::{Stream, TryStreamExt as _};
use http::Request;

use super::Hub;
use crate::error::{Effect, Error, Kind, Result};
use crate::job::{Job, JobId, JobStatus, JobType, NewJob};
use crate::query::{self, Continuation, Page, Pages};
use crate::request;
use crate::transfer::{NewTransfer, Transfer};
use crate::transport::Answer;

/// # Scheduled jobs
///
/// Microsoft's page: [Schedule jobs on multiple devices](https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-jobs).
///
/// A hub runs 1 (Free, S1), 5 (S2) or 10 (S3) jobs at once. One more, also one that only waits for
/// its time, is [`Kind::Throttled`]. Jobs are kept for 30 days.
impl Hub {
    /// Schedules a job, or fails with [`Kind::AlreadyExists`]. A condition that is no valid query
    /// is taken, and the job fails later.
    ///
    /// ```no_run
    /// use iothub::{Method, NewJob};
    ///
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let reboot = Method::new("reboot")?;
    /// let new = NewJob::call_methods("reboot-north".parse()?, "tags.site = 'north'", &reboot)?;
    /// println!("{:?}", hub.create_job(&new).await?.status());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_job(&self, new: &NewJob) -> Result<Job> {
        let answer = self.0.send(request::create_job(self.host(), new)?).await?;
        about(new.id(), &answer)
    }

    /// Reads a job. The hub calls an unknown one a success of status `unknown`; here it is
    /// [`Kind::NotFound`].
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let job = hub.job(&"reboot-north".parse()?).await?;
    /// println!("{:?} {:?}", job.status(), job.statistics());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn job(&self, id: &JobId) -> Result<Job> {
        let answer = self.0.send(request::job(self.host(), id)?).await?;
        if Job::is_unknown(&answer.body) {
            return Err(Error::new(Kind::NotFound, Effect::None).with_status(answer.status));
        }
        about(id, &answer)
    }

    /// The jobs of a type and status, or of all, page after page as they are needed.
    ///
    /// ```no_run
    /// use futures::TryStreamExt as _;
    ///
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// let jobs: Vec<iothub::Job> = hub.jobs(None, Some(iothub::JobStatus::Running)).try_collect().await?;
    /// println!("{}", jobs.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn jobs(
        &self,
        job_type: Option<JobType>,
        status: Option<JobStatus>,
    ) -> impl Stream<Item = Result<Job>> + Send + use<> {
        query::rows(self.clone(), JobPages { job_type, status })
            .and_then(|row| async { Job::from_fields(row.fields) })
    }

    /// Cancels a job. One that runs or has ended cannot be cancelled: [`Kind::NotAvailable`]. For a
    /// while the hub may still report it as scheduled.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// hub.cancel_job(&"reboot-north".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cancel_job(&self, id: &JobId) -> Result<Job> {
        let answer = self.0.send(request::cancel_job(self.host(), id)?).await?;
        about(id, &answer)
    }
}

/// # Import and export
///
/// Microsoft's page: [Import and export identities in bulk](https://learn.microsoft.com/azure/iot-hub/iot-hub-bulk-identity-mgmt).
///
/// A hub runs one at a time; a second one is [`Kind::QuotaExceeded`].
impl Hub {
    /// Starts an import or export. A container that cannot be used is [`Kind::Invalid`] at once.
    ///
    /// ```no_run
    /// use iothub::{NewTransfer, Secret};
    ///
    /// # async fn example(hub: iothub::Hub, container: Secret) -> Result<(), Box<dyn std::error::Error>> {
    /// let job = hub.create_transfer(&NewTransfer::export(&container)).await?;
    /// println!("{}", job.id());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_transfer(&self, new: &NewTransfer) -> Result<Transfer> {
        let request = request::create_transfer(self.host(), new)?;
        Transfer::from_json(&self.0.send(request).await?.body)
    }

    /// Reads an import or export job.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub, id: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let job = hub.transfer(id).await?;
    /// println!("{:?} {:?} %", job.status(), job.progress());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn transfer(&self, id: &str) -> Result<Transfer> {
        let answer = self.0.send(request::transfer(self.host(), id)?).await?;
        let job = Transfer::from_json(&answer.body)?;
        if job.id() == id {
            Ok(job)
        } else {
            Err(another_job())
        }
    }

    /// Lists the import and export jobs.
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub) -> Result<(), Box<dyn std::error::Error>> {
    /// for job in hub.transfers().await? {
    ///     println!("{} {:?}", job.id(), job.status());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn transfers(&self) -> Result<Vec<Transfer>> {
        let answer = self.0.send(request::transfers(self.host())?).await?;
        Transfer::list_from_json(&answer.body)
    }

    /// Cancels an import or export job. What it has done stays. An old or unknown job has been seen
    /// to give a server error, which is [`Kind::Transient`].
    ///
    /// ```no_run
    /// # async fn example(hub: iothub::Hub, id: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// hub.cancel_transfer(id).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cancel_transfer(&self, id: &str) -> Result<()> {
        let request = request::cancel_transfer(self.host(), id)?;
        self.0.send(request).await.map(drop)
    }
}

struct JobPages {
    job_type: Option<JobType>,
    status: Option<JobStatus>,
}

impl Pages for JobPages {
    fn request(&self, hub: &Hub, after: Option<&Continuation>) -> Result<Request<Bytes>> {
        request::jobs(hub.host(), self.job_type, self.status, after)
    }

    fn read(&self, answer: &Answer) -> Result<Page> {
        Page::of_jobs(answer)
    }
}

fn about(asked: &JobId, answer: &Answer) -> Result<Job> {
    let job = Job::from_json(&answer.body)?;
    if job.id() == asked.as_str() {
        Ok(job)
    } else {
        Err(another_job())
    }
}

fn another_job() -> Error {
    Error::malformed("the answer is about another job")
}
