"""Many changes in one call."""

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import AuthenticationMechanism, ExportImportDevice, SymmetricKey

from steps import HUB, KEY_1, KEY_2, refused, same, step

hub = IoTHubRegistryManager.from_connection_string(HUB)


def item(device, mode, status="enabled", etag=None):
    keys = AuthenticationMechanism(type="sas", symmetric_key=SymmetricKey(primary_key=KEY_1, secondary_key=KEY_2))
    return ExportImportDevice(id=device, import_mode=mode, status=status, authentication=keys, e_tag=etag)


def failures(items):
    result = hub.bulk_create_or_update_devices(items)
    same(result.is_successful, not result.errors)
    return {(error.device_id, str(error.error_code)[:3]) for error in result.errors or []}


@step("create many")
def _():
    same(failures([item(f"device-{number}", "create") for number in range(100)]), set())
    same(hub.get_device("device-99").authentication.symmetric_key.primary_key, KEY_1)


@step("mixed outcomes")
def _():
    items = [item("new", "create"), item("device-1", "create"), item("nobody", "delete")]
    same(failures(items), {("device-1", "409"), ("nobody", "404")})
    same(hub.get_device("new").device_id, "new")


@step("update many")
def _():
    same(failures([item("device-1", "update", "disabled"), item("device-2", "update", "disabled")]), set())
    same([hub.get_device(name).status for name in ("device-1", "device-2")], ["disabled"] * 2)


@step("update some in an old version")
def _():
    good = hub.get_device("device-3").etag
    items = [
        item("device-3", "updateIfMatchETag", "disabled", good),
        item("device-4", "updateIfMatchETag", "disabled", "b2xk"),
    ]
    same(failures(items), {("device-4", "412")})
    same([hub.get_device(name).status for name in ("device-3", "device-4")], ["disabled", "enabled"])


@step("delete some in an old version")
def _():
    good = hub.get_device("device-5").etag
    items = [
        item("device-5", "deleteIfMatchETag", etag=good),
        item("device-6", "deleteIfMatchETag", etag="b2xk"),
    ]
    same(failures(items), {("device-6", "412")})
    refused(404, "DeviceNotFound", hub.get_device, "device-5")


@step("delete many")
def _():
    same(failures([item("device-7", "delete"), item("device-8", "delete")]), set())
    refused(404, "DeviceNotFound", hub.get_device, "device-7")


@step("edit twins")
def _():
    edit = ExportImportDevice(id="device-9", import_mode="updateTwin", tags={"site": "north"})
    same(failures([edit]), set())
    same(hub.get_twin("device-9").tags, {"site": "north"})


@step("too many")
def _():
    items = [item(f"more-{number}", "create") for number in range(101)]
    refused(413, "TooManyDevices", hub.bulk_create_or_update_devices, items)
    refused(404, "DeviceNotFound", hub.get_device, "more-0")
