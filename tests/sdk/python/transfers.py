"""Import and export jobs. The hub has two devices, and a file to import lies in the container `inbox`.

Containers are folders here, and jobs begin only after a while, as in the real service.
"""

import json
import os
import pathlib
import time

from azure.iot.hub import IoTHubJobManager, IoTHubRegistryManager
from azure.iot.hub.models import JobProperties
from azure.iot.hub.protocol.models import ManagedIdentity

from steps import HUB, KEY_1, refused, same, step

jobs = IoTHubJobManager.from_connection_string(HUB)
hub = IoTHubRegistryManager.from_connection_string(HUB)
FOLDER = pathlib.Path(os.environ["BLOB_DIR"])


def container(name, permissions="rwdl"):
    return f"https://store.example/{name}?sv=2021&sp={permissions}&sig=sesame"


def export(exclude_keys=False):
    properties = JobProperties(
        type="export", output_blob_container_uri=container("outbox"), exclude_keys_in_export=exclude_keys
    )
    return jobs.create_import_export_job(properties)


def ended(job):
    while True:
        read = jobs.get_import_export_job(job.job_id)
        if read.status in ["completed", "failed", "cancelled"]:
            return read
        time.sleep(0.05)


@step("start an export")
def _():
    job = export()
    same((job.type, job.status, job.progress), ("export", "enqueued", 0))
    assert job.job_id and job.start_time_utc


@step("a second job at once")
def _():
    refused(403, "JobQuotaExceeded", export)


@step("list")
def _():
    found = jobs.get_import_export_jobs()
    same([(job.type, job.status) for job in found], [("export", "enqueued")])


@step("cancel")
def _():
    [job] = jobs.get_import_export_jobs()
    jobs.cancel_import_export_job(job.job_id)
    same(ended(job).status, "cancelled")


@step("export all devices")
def _():
    job = ended(export())
    same((job.status, job.progress), ("completed", 100))
    assert job.end_time_utc
    lines = [json.loads(line) for line in (FOLDER / "outbox/devices.txt").read_text().splitlines()]
    same({line["id"] for line in lines}, {"device-1", "device-2"})
    assert all(line["authentication"]["symmetricKey"]["primaryKey"] for line in lines)


@step("export without keys")
def _():
    same(ended(export(exclude_keys=True)).status, "completed")
    _, *lines = (FOLDER / "outbox/devices.txt").read_text().splitlines()
    assert lines and not any(json.loads(line)["authentication"]["symmetricKey"]["primaryKey"] for line in lines)


@step("import")
def _():
    properties = JobProperties(
        type="import",
        input_blob_container_uri=container("inbox"),
        output_blob_container_uri=container("outbox"),
    )
    created = jobs.create_import_export_job(properties)
    same(created.input_blob_container_uri, container("inbox"))
    job = ended(created)
    # Lines that fail do not make the job fail.
    same((job.status, job.input_blob_container_uri), ("completed", None))
    same(hub.get_device("imported").authentication.symmetric_key.primary_key, KEY_1)
    [error] = (FOLDER / "outbox/importErrors.log").read_text().splitlines()
    same((json.loads(error)["deviceId"], json.loads(error)["errorCode"]), ("no-such-device", 404001))


@step("export as another identity than a signature's")
def _():
    properties = JobProperties(
        type="export",
        output_blob_container_uri="https://store.example/outbox",
        storage_authentication_type="identityBased",
        identity=ManagedIdentity(user_assigned_identity="/subscriptions/s/identities/hub"),
    )
    job = jobs.create_import_export_job(properties)
    same(job.storage_authentication_type, "identityBased")
    same(job.identity.user_assigned_identity, "/subscriptions/s/identities/hub")
    jobs.cancel_import_export_job(job.job_id)


@step("a container that must not be written to")
def _():
    properties = JobProperties(type="export", output_blob_container_uri=container("outbox", "r"))
    refused(400, "BlobContainerValidationError", jobs.create_import_export_job, properties)


@step("read what does not exist")
def _():
    refused(404, "JobNotFound", jobs.get_import_export_job, "no-such-job")


@step("cancel what does not exist")
def _():
    refused(404, "JobNotFound", jobs.cancel_import_export_job, "no-such-job")
