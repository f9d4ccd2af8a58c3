"""Queries for twins."""

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification, Twin, TwinProperties

from steps import HUB, refused, same, step

hub = IoTHubRegistryManager.from_connection_string(HUB)
for number in range(25):
    name = f"device-{number:02}"
    hub.create_device_with_sas(name, "", "", "enabled" if number % 5 else "disabled")
    tags = {"site": "north" if number < 7 else "south", "number": number}
    hub.update_twin(name, Twin(tags=tags, properties=TwinProperties(desired={"interval": number})))
hub.create_module_with_sas("device-01", "module", None, "", "")
ALL = [f"device-{number:02}" for number in range(25)]


def pages(text, size=None):
    found, token = [], None
    while True:
        result = hub.query_iot_hub(QuerySpecification(query=text), token, size)
        found.append(result.items)
        token = result.continuation_token
        if not token:
            return found


def names(text):
    return sorted(twin.device_id for page in pages(text) for twin in page)


@step("all twins in several pages")
def _():
    found = pages("SELECT * FROM devices", 10)
    same([len(page) for page in found], [10, 10, 5])
    same(sorted(twin.device_id for page in found for twin in page), ALL)


@step("a page says what its rows are")
def _():
    same(hub.query_iot_hub(QuerySpecification(query="SELECT * FROM devices")).type.lower(), "twin")


@step("by tags")
def _():
    same(names("SELECT * FROM devices WHERE tags.site = 'north'"), ALL[:7])


@step("by desired properties")
def _():
    same(names("SELECT * FROM devices WHERE properties.desired.interval >= 20 AND NOT tags.number = 22"), ALL[20:22] + ALL[23:])


@step("by status")
def _():
    same(names("SELECT * FROM devices WHERE status = 'disabled'"), ALL[::5])


@step("by a list of ids")
def _():
    same(names("SELECT * FROM devices WHERE devices.deviceid IN ['device-03', 'device-20', 'nobody']"), ["device-03", "device-20"])


@step("by a function")
def _():
    same(names("SELECT * FROM devices WHERE NOT IS_DEFINED(tags.site)"), [])


@step("modules")
def _():
    found = [row for page in pages("SELECT * FROM devices.modules") for row in page]
    same([(row.device_id, row.module_id) for row in found], [("device-01", "module")])


@step("bad text")
def _():
    refused(400, "ArgumentInvalid", hub.query_iot_hub, QuerySpecification(query="SELECT everything, please"))


@step("a continuation that was made up")
def _():
    refused(400, "ArgumentInvalid", hub.query_iot_hub, QuerySpecification(query="SELECT * FROM devices"), "made-up", 10)
