"""Edge gateways, and the devices behind them."""

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification

from steps import HUB, KEY_1, KEY_2, refused, same, step

hub = IoTHubRegistryManager.from_connection_string(HUB)


def scope(device_id):
    return hub.get_device(device_id).device_scope


@step("create a gateway")
def _():
    gateway = hub.create_device_with_sas("gateway", "", "", "enabled", iot_edge=True)
    assert gateway.capabilities.iot_edge and gateway.device_scope.startswith("ms-azure-iot-edge://gateway-")
    same({module.module_id for module in hub.get_modules("gateway")}, {"$edgeAgent", "$edgeHub"})


@step("create a device behind it")
def _():
    leaf = hub.create_device_with_sas("leaf", "", "", "enabled", device_scope=scope("gateway"))
    same((leaf.device_scope, leaf.parent_scopes), (scope("gateway"), [scope("gateway")]))


@step("create a gateway behind it")
def _():
    lower = hub.create_device_with_sas("lower", "", "", "enabled", iot_edge=True, parent_scopes=[scope("gateway")])
    same(lower.parent_scopes, [scope("gateway")])
    assert lower.device_scope.startswith("ms-azure-iot-edge://lower-")


@step("find what is behind it")
def _():
    text = f"SELECT * FROM devices WHERE ARRAY_CONTAINS(parentScopes, '{scope('gateway')}')"
    same({twin.device_id for twin in hub.query_iot_hub(QuerySpecification(query=text)).items}, {"leaf", "lower"})


@step("move to another gateway")
def _():
    leaf = hub.get_device("leaf")
    moved = hub.update_device_with_sas("leaf", leaf.etag, KEY_1, KEY_2, "enabled", device_scope=scope("lower"))
    same((moved.device_scope, moved.parent_scopes), (scope("lower"), [scope("lower")]))


@step("a gateway keeps its scope")
def _():
    lower = hub.get_device("lower")
    refused(
        400, "InvalidDeviceScope", hub.update_device_with_sas, "lower", lower.etag, KEY_1, KEY_2, "enabled", iot_edge=True
    )
    same(scope("lower"), lower.device_scope)


@step("take from behind its gateway")
def _():
    leaf, lower = hub.get_device("leaf"), hub.get_device("lower")
    hub.update_device_with_sas("leaf", leaf.etag, KEY_1, KEY_2, "enabled")
    hub.update_device_with_sas(
        "lower", lower.etag, KEY_1, KEY_2, "enabled", iot_edge=True, device_scope=lower.device_scope
    )
    leaf, lower_now = hub.get_device("leaf"), hub.get_device("lower")
    same((leaf.device_scope, leaf.parent_scopes or []), (None, []))
    same((lower_now.device_scope, lower_now.parent_scopes or []), (lower.device_scope, []))
