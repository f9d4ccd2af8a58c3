"""Direct methods. The devices are there already: one that answers, with a module, and one that is offline."""

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod

from steps import HUB, refused, same, step

hub = IoTHubRegistryManager.from_connection_string(HUB)


def method(name, payload=None, response=10):
    return CloudToDeviceMethod(
        method_name=name, payload=payload, response_timeout_in_seconds=response, connect_timeout_in_seconds=0
    )


@step("call a method")
def _():
    payload = {"list": [1, "a", None], "text": "zwölf"}
    answer = hub.invoke_device_method("device", method("echo", payload))
    same((answer.status, answer.payload), (200, payload))


@step("call a method that fails on the device")
def _():
    answer = hub.invoke_device_method("device", method("fail"))
    same((answer.status, answer.payload), (500, {"why": "because"}))


@step("call a method of a module")
def _():
    answer = hub.invoke_device_module_method("device", "module", method("echo", "hello"))
    same((answer.status, answer.payload), (200, "hello"))


@step("call a device that is offline")
def _():
    refused(404, "DeviceNotOnline", hub.invoke_device_method, "offline", method("echo"))


@step("call a device that does not exist")
def _():
    refused(404, "DeviceNotFound", hub.invoke_device_method, "no-such-device", method("echo"))


@step("call with too short a time limit")
def _():
    refused(400, "ArgumentInvalid", hub.invoke_device_method, "device", method("echo", response=4))
