"""Digital twins. The devices are there already: one that answers and has reported, and one that is offline."""

from azure.iot.hub import DigitalTwinClient, IoTHubRegistryManager

from steps import HUB, refused, same, step

hub = DigitalTwinClient.from_connection_string(HUB)
registry = IoTHubRegistryManager.from_connection_string(HUB)


def add(path, value):
    return [{"op": "add", "path": path, "value": value}]


@step("read")
def _():
    twin = hub.get_digital_twin("device")
    same((twin["$dtId"], twin["$metadata"]["$model"], twin["temperature"]), ("device", "", 21))


@step("read what does not exist")
def _():
    refused(404, "DeviceNotFound", hub.get_digital_twin, "no-such-device")


@step("patch a property")
def _():
    hub.update_digital_twin("device", add("/target", 23))
    same(registry.get_twin("device").properties.desired["target"], 23)
    same(hub.get_digital_twin("device")["$metadata"]["target"]["desiredValue"], 23)


@step("patch a component")
def _():
    hub.update_digital_twin("device", add("/thermostat/limit", 30))
    same(registry.get_twin("device").properties.desired["thermostat"], {"__t": "c", "limit": 30})


@step("patch in this version")
def _():
    etag = registry.get_twin("device").etag
    hub.update_digital_twin("device", add("/target", 24), f'"{etag}"')
    same(registry.get_twin("device").properties.desired["target"], 24)


@step("patch in an old version")
def _():
    refused(412, "PreconditionFailed", hub.update_digital_twin, "device", add("/target", 25), '"b2xk"')


@step("patch with an unknown step")
def _():
    steps = [{"op": "test", "path": "/target", "value": 24}]
    refused(400, "ArgumentInvalid", hub.update_digital_twin, "device", steps)


@step("call a command")
def _():
    same(hub.invoke_command("device", "echo", {"text": "zwölf"}), {"text": "zwölf"})


@step("call a command of a component")
def _():
    same(hub.invoke_component_command("device", "thermostat", "echo", {"n": 1}, 0, 10), {"n": 1})


@step("call a device that is offline")
def _():
    refused(404, "DeviceNotOnline", hub.invoke_command, "offline", "echo", {})
