"""Twins of devices."""

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties

from steps import HUB, refused, same, step

hub = IoTHubRegistryManager.from_connection_string(HUB)
hub.create_device_with_sas("device", "", "", "enabled")


def desired(values):
    return Twin(properties=TwinProperties(desired=values))


def patched(values):
    return hub.update_twin("device", desired(values)).properties.desired


def levels(depth):
    return {"a": levels(depth - 1)} if depth else 1


@step("read a new twin")
def _():
    twin = hub.get_twin("device")
    same((twin.device_id, twin.status, twin.version, twin.tags), ("device", "enabled", 2, None))
    same((twin.properties.desired["$version"], twin.properties.reported["$version"]), (1, 1))


@step("read what does not exist")
def _():
    refused(404, "DeviceNotFound", hub.get_twin, "no-such-device")


@step("patch merges")
def _():
    hub.update_twin("device", Twin(tags={"site": {"town": "Oslo", "floor": 2}}))
    twin = hub.update_twin("device", Twin(tags={"site": {"floor": 3}, "owner": "me"}))
    same(twin.tags, {"site": {"town": "Oslo", "floor": 3}, "owner": "me"})


@step("patch with null removes")
def _():
    twin = hub.update_twin("device", Twin(tags={"owner": None, "site": {"floor": None}}))
    same(twin.tags, {"site": {"town": "Oslo"}})


@step("patch counts versions")
def _():
    before = hub.get_twin("device")
    after = hub.update_twin("device", desired({"interval": 5}))
    same(after.version, before.version + 1)
    same(after.properties.desired["$version"], before.properties.desired["$version"] + 1)
    assert after.etag != before.etag
    assert "$lastUpdated" in after.properties.desired["$metadata"]["interval"]


@step("patch keeps values of all kinds")
def _():
    values = {"text": "zwölf ⏱", "float": 1.5, "integer": 4503599627370495, "flag": False, "list": [1, "a", {"b": []}]}
    read = hub.get_twin("device") if patched({"kinds": values}) else None
    found = {key: read.properties.desired["kinds"][key] for key in values}
    same(found, values)


@step("patch in this version")
def _():
    etag = hub.get_twin("device").etag
    same(hub.update_twin("device", Twin(tags={"step": 1}), etag).tags["step"], 1)


@step("patch in an old version")
def _():
    refused(412, "PreconditionFailed", hub.update_twin, "device", Twin(tags={"step": 2}), "b2xk")
    same(hub.get_twin("device").tags["step"], 1)


@step("replace")
def _():
    twin = hub.replace_twin("device", Twin(tags={"only": 1}, properties=TwinProperties(desired={"only": 2})))
    same((twin.tags, twin.properties.desired["only"]), ({"only": 1}, 2))
    assert "interval" not in twin.properties.desired


@step("replace in an old version")
def _():
    refused(412, "PreconditionFailed", hub.replace_twin, "device", Twin(tags={"only": 3}), "b2xk")


@step("ten levels are taken")
def _():
    assert patched({"deep": levels(9)})["deep"]


@step("too many levels")
def _():
    refused(400, "ArgumentInvalid", patched, {"deep": levels(11)})


@step("a text that is too long")
def _():
    refused(400, "ArgumentInvalid", patched, {"text": "x" * 4097})


@step("a number that is too large")
def _():
    refused(400, "ArgumentInvalid", patched, {"number": 4503599627370496})


@step("keys that are not allowed")
def _():
    for key in ("a.b", "a b", "$a", "a#b"):
        refused(400, "ArgumentInvalid", patched, {key: 1})


@step("more than a twin holds")
def _():
    refused(400, "ArgumentInvalid", patched, {f"key-{number}": "x" * 4000 for number in range(9)})
    refused(400, "ArgumentInvalid", hub.update_twin, "device", Twin(tags={f"key-{n}": "x" * 4000 for n in range(3)}))
