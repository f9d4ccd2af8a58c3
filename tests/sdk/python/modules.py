"""Modules of devices, and their twins."""

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties

from steps import HUB, KEY_1, KEY_2, refused, same, step

hub = IoTHubRegistryManager.from_connection_string(HUB)
hub.create_device_with_sas("device", "", "", "enabled")


@step("create with keys of the hub's making")
def _():
    module = hub.create_module_with_sas("device", "generated", "somebody", "", "")
    same((module.device_id, module.module_id, module.managed_by), ("device", "generated", "somebody"))
    assert module.authentication.symmetric_key.primary_key and module.etag


@step("create with own keys")
def _():
    module = hub.create_module_with_sas("device", "keys", None, KEY_1, KEY_2)
    same(module.authentication.symmetric_key.primary_key, KEY_1)


@step("create with thumbprints")
def _():
    hub.create_module_with_x509("device", "x509", None, "A" * 40, "B" * 40)
    same(hub.get_module("device", "x509").authentication.x509_thumbprint.primary_thumbprint, "A" * 40)


@step("create what exists")
def _():
    refused(409, "ModuleAlreadyExistsOnDevice", hub.create_module_with_sas, "device", "keys", None, "", "")


@step("create on a device that does not exist")
def _():
    # So it is with shared access signatures; with Entra ID it would be 404.
    refused(401, "IotHubUnauthorizedAccess", hub.create_module_with_sas, "no-such-device", "m", None, "", "")


@step("read")
def _():
    same(hub.get_module("device", "keys").authentication.symmetric_key.secondary_key, KEY_2)


@step("read what does not exist")
def _():
    refused(404, "ModuleNotFound", hub.get_module, "device", "no-such-module")


@step("list")
def _():
    same({module.module_id for module in hub.get_modules("device")}, {"generated", "keys", "x509"})


@step("update")
def _():
    module = hub.get_module("device", "keys")
    updated = hub.update_module_with_sas("device", "keys", "me", module.etag, KEY_1, KEY_2)
    same(updated.managed_by, "me")
    assert updated.etag != module.etag


@step("update in an old version")
def _():
    refused(412, "PreconditionFailed", hub.update_module_with_sas, "device", "keys", "you", "b2xk", KEY_1, KEY_2)


@step("read the twin")
def _():
    twin = hub.get_module_twin("device", "keys")
    same((twin.device_id, twin.module_id), ("device", "keys"))


@step("patch the twin")
def _():
    patch = Twin(tags={"site": "north"}, properties=TwinProperties(desired={"interval": 5}))
    twin = hub.update_module_twin("device", "keys", patch, hub.get_module_twin("device", "keys").etag)
    same(twin.tags, {"site": "north"})
    same(twin.properties.desired["interval"], 5)


@step("patch the twin in an old version")
def _():
    refused(412, "PreconditionFailed", hub.update_module_twin, "device", "keys", Twin(tags={"a": 1}), "b2xk")


@step("replace the twin")
def _():
    twin = hub.replace_module_twin("device", "keys", Twin(properties=TwinProperties(desired={"only": True})))
    same((twin.tags or {}, twin.properties.desired["only"]), ({}, True))
    assert "interval" not in twin.properties.desired


@step("delete in an old version")
def _():
    refused(412, "PreconditionFailed", hub.delete_module, "device", "keys", "b2xk")


@step("delete")
def _():
    hub.delete_module("device", "keys")
    refused(404, "ModuleNotFound", hub.get_module, "device", "keys")


@step("delete what does not exist")
def _():
    refused(404, "ModuleNotFound", hub.delete_module, "device", "no-such-module")
