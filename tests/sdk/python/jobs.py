"""Scheduled jobs. The devices are there already: two in the north that answer, one in the south that is offline.

The hub takes one job at a time.
"""

import datetime
import time

from azure.iot.hub import IoTHubJobManager, IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, JobRequest, QuerySpecification, Twin

from steps import HUB, refused, same, step

jobs = IoTHubJobManager.from_connection_string(HUB)
hub = IoTHubRegistryManager.from_connection_string(HUB)
NORTH = "tags.site = 'north'"
ENDED = ["completed", "failed", "cancelled"]


def update(job_id, condition, start_time=None):
    twin = Twin(etag="*", tags={"batch": 7})
    return JobRequest(
        job_id=job_id,
        type="scheduleUpdateTwin",
        query_condition=condition,
        update_twin=twin,
        start_time=start_time,
        max_execution_time_in_seconds=60,
    )


def in_an_hour():
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


def ended(job_id):
    while True:
        job = jobs.get_scheduled_job(job_id)
        if job.status in ENDED:
            return job
        time.sleep(0.05)


@step("schedule a twin update")
def _():
    job = jobs.create_scheduled_job("update", update("update", NORTH))
    same((job.job_id, job.type, job.query_condition), ("update", "scheduleUpdateTwin", NORTH))
    assert job.status in ["queued", "scheduled", "running"], job.status


@step("follow it to its end")
def _():
    job = ended("update")
    counts = job.device_job_statistics
    same((job.status, counts.device_count, counts.succeeded_count, counts.failed_count), ("completed", 2, 2, 0))
    assert job.start_time and job.end_time


@step("it has changed the twins it was for")
def _():
    same([hub.get_twin(name).tags.get("batch") for name in ["north-1", "north-2", "south"]], [7, 7, None])


@step("schedule a method")
def _():
    method = CloudToDeviceMethod(method_name="echo", payload={"text": "zwölf"}, response_timeout_in_seconds=10)
    request = JobRequest(
        job_id="call",
        type="scheduleDeviceMethod",
        query_condition="*",
        cloud_to_device_method=method,
        max_execution_time_in_seconds=60,
    )
    jobs.create_scheduled_job("call", request)
    job = ended("call")
    counts = job.device_job_statistics
    # The device that is offline is one that failed; the job as a whole did not.
    same((job.status, counts.device_count, counts.succeeded_count, counts.failed_count), ("completed", 3, 2, 1))


@step("schedule for a condition that is none")
def _():
    jobs.create_scheduled_job("senseless", update("senseless", "tags. ="))
    job = ended("senseless")
    same(job.status, "failed")
    assert job.failure_reason


@step("schedule under a taken id")
def _():
    refused(409, "JobAlreadyExists", jobs.create_scheduled_job, "update", update("update", NORTH))


@step("schedule under a bad id")
def _():
    refused(400, "ArgumentInvalid", jobs.create_scheduled_job, "Bad_Id", update("Bad_Id", NORTH))


@step("plan one for later")
def _():
    job = jobs.create_scheduled_job("later", update("later", NORTH, in_an_hour()))
    assert job.status in ["queued", "scheduled"], job.status


@step("one job too many")
def _():
    refused(429, "ThrottlingMaxActiveJobCountExceeded", jobs.create_scheduled_job, "more", update("more", NORTH))


@step("list")
def _():
    def found(kind=None, status=None):
        return sorted(job["jobId"] for job in jobs.query_scheduled_jobs(kind, status).items)

    same(found(), ["call", "later", "senseless", "update"])
    same(found("scheduleDeviceMethod"), ["call"])
    same(found("scheduleUpdateTwin", "completed"), ["update"])


@step("cancel")
def _():
    same(jobs.cancel_scheduled_job("later").status, "cancelled")
    same(ended("later").status, "cancelled")


@step("cancel what has ended")
def _():
    refused(405, "OperationNotAllowedInCurrentState", jobs.cancel_scheduled_job, "update")


@step("read what does not exist")
def _():
    job = jobs.get_scheduled_job("no-such-job")
    same((job.type, job.status), ("unknown", "unknown"))
