"""The life of device identities."""

import base64

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Device

from steps import HUB, KEY_1, KEY_2, refused, same, step

hub = IoTHubRegistryManager.from_connection_string(HUB)
UNKNOWN = "no-such-device"
ODD = "odd#%25:id_(1)+*!',=@;$?"


@step("create with keys of the hub's making")
def _():
    device = hub.create_device_with_sas("generated", "", "", "enabled")
    same((device.device_id, device.status), ("generated", "enabled"))
    key = device.authentication.symmetric_key
    assert len(base64.b64decode(key.primary_key)) >= 16 and key.primary_key != key.secondary_key
    assert device.etag and device.generation_id


@step("create with own keys")
def _():
    device = hub.create_device_with_sas("keys", KEY_1, KEY_2, "disabled", status_reason="not yet")
    key = device.authentication.symmetric_key
    same((key.primary_key, key.secondary_key), (KEY_1, KEY_2))
    same((device.status, device.status_reason), ("disabled", "not yet"))


@step("create with thumbprints")
def _():
    hub.create_device_with_x509("x509", "A" * 40, "B" * 40, "enabled")
    authentication = hub.get_device("x509").authentication
    same(authentication.type, "selfSigned")
    same(authentication.x509_thumbprint.primary_thumbprint, "A" * 40)
    same(authentication.x509_thumbprint.secondary_thumbprint, "B" * 40)


@step("create with a certificate authority")
def _():
    hub.create_device_with_certificate_authority("ca", "enabled")
    same(hub.get_device("ca").authentication.type, "certificateAuthority")


@step("create with an odd id")
def _():
    same(hub.create_device_with_sas(ODD, "", "", "enabled").device_id, ODD)
    same(hub.get_device(ODD).device_id, ODD)


@step("create an edge device and its child")
def _():
    gateway = hub.create_device_with_sas("gateway", "", "", "enabled", iot_edge=True)
    assert gateway.capabilities.iot_edge and gateway.device_scope
    child = hub.create_device_with_sas("child", "", "", "enabled", device_scope=gateway.device_scope)
    same(child.device_scope, gateway.device_scope)


@step("create what exists")
def _():
    refused(409, "DeviceAlreadyExists", hub.create_device_with_sas, "keys", "", "", "enabled")
    same(hub.get_device("keys").authentication.symmetric_key.primary_key, KEY_1)


@step("create something invalid")
def _():
    refused(400, "ArgumentInvalid", hub.create_device_with_sas, "reason", "", "", "enabled", status_reason="x" * 129)


@step("read")
def _():
    device = hub.get_device("keys")
    same((device.device_id, device.status), ("keys", "disabled"))
    same(device.connection_state, "Disconnected")


@step("read what does not exist")
def _():
    refused(404, "DeviceNotFound", hub.get_device, UNKNOWN)


@step("update keeps the keys")
def _():
    device = hub.get_device("generated")
    key = device.authentication.symmetric_key
    updated = hub.update_device_with_sas(
        "generated", device.etag, key.primary_key, key.secondary_key, "disabled", status_reason="stolen"
    )
    same((updated.status, updated.status_reason), ("disabled", "stolen"))
    read = hub.get_device("generated")
    same(read.authentication.symmetric_key.primary_key, key.primary_key)
    assert read.etag == updated.etag != device.etag


@step("certificates go back as they came")
def _():
    device = hub.get_device("x509")
    prints = device.authentication.x509_thumbprint
    hub.update_device_with_x509(
        "x509", device.etag, prints.primary_thumbprint, prints.secondary_thumbprint, "enabled", status_reason="moved"
    )
    read = hub.get_device("x509")
    same((read.status_reason, read.authentication), ("moved", device.authentication))
    device = hub.get_device("ca")
    hub.update_device_with_certificate_authority("ca", device.etag, "enabled", status_reason="moved")
    read = hub.get_device("ca")
    same((read.status_reason, read.authentication), ("moved", device.authentication))


@step("an update without keys makes new ones")
def _():
    # The SDK's own methods want keys; what is below them lets them out, and the device is locked out.
    old = hub.get_device("generated").authentication.symmetric_key
    bare = Device(device_id="generated", status="disabled")
    updated = hub.protocol.devices.create_or_update_identity("generated", bare, '"*"')
    new = updated.authentication.symmetric_key
    same(updated.authentication.type, "sas")
    assert new.primary_key and new.primary_key != old.primary_key and new.secondary_key != old.secondary_key


@step("update to another authentication")
def _():
    device = hub.get_device("x509")
    hub.update_device_with_sas("x509", device.etag, KEY_1, KEY_2, "enabled")
    same(hub.get_device("x509").authentication.symmetric_key.secondary_key, KEY_2)


@step("update in an old version")
def _():
    device = hub.get_device("keys")
    hub.update_device_with_sas("keys", device.etag, KEY_1, KEY_2, "enabled")
    refused(412, "PreconditionFailed", hub.update_device_with_sas, "keys", device.etag, KEY_2, KEY_1, "disabled")
    same(hub.get_device("keys").status, "enabled")


@step("update in any version")
def _():
    same(hub.update_device_with_sas("keys", None, KEY_1, KEY_2, "disabled").status, "disabled")


@step("update what does not exist")
def _():
    refused(404, "DeviceNotFound", hub.update_device_with_sas, UNKNOWN, None, KEY_1, KEY_2, "enabled")


@step("list")
def _():
    ids = {device.device_id for device in hub.get_devices()}
    same(ids, {"generated", "keys", "x509", "ca", ODD, "gateway", "child"})


@step("list a few")
def _():
    same(len(hub.get_devices(3)), 3)


@step("count devices")
def _():
    counts = hub.get_device_registry_statistics()
    same((counts.total_device_count, counts.disabled_device_count), (7, 2))


@step("count connected devices")
def _():
    same(hub.get_service_statistics().connected_device_count, 0)


@step("throw waiting messages away")
def _():
    purged = hub.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue("keys")
    same((purged.device_id, purged.total_messages_purged), ("keys", 0))


@step("delete in an old version")
def _():
    refused(412, "PreconditionFailed", hub.delete_device, "keys", "b2xk")
    same(hub.get_device("keys").device_id, "keys")


@step("delete")
def _():
    hub.delete_device("keys", hub.get_device("keys").etag)
    hub.delete_device("ca")
    refused(404, "DeviceNotFound", hub.get_device, "keys")
    refused(404, "DeviceNotFound", hub.get_twin, "ca")


@step("delete what does not exist")
def _():
    refused(404, "DeviceNotFound", hub.delete_device, UNKNOWN)


@step("a new device of an old name is another one")
def _():
    old = hub.get_device("x509").generation_id
    hub.delete_device("x509")
    assert hub.create_device_with_sas("x509", "", "", "enabled").generation_id != old


@step("call with a wrong key")
def _():
    wrong = ";".join(part for part in HUB.split(";") if not part.startswith("SharedAccessKey=")) + ";SharedAccessKey=" + KEY_1
    stranger = IoTHubRegistryManager.from_connection_string(wrong)
    refused(401, "IotHubUnauthorizedAccess", stranger.get_device, "generated")
