"""Configurations and edge deployments. The devices are there already: one in the north, one in the south, a gateway."""

import time

from azure.iot.hub import IoTHubConfigurationManager, IoTHubRegistryManager
from azure.iot.hub.models import (
    Configuration,
    ConfigurationContent,
    ConfigurationMetrics,
    ConfigurationQueriesTestInput,
)

from steps import HUB, refused, same, step

hub = IoTHubConfigurationManager.from_connection_string(HUB)
registry = IoTHubRegistryManager.from_connection_string(HUB)
NORTH = "tags.site = 'north'"
MINE = "SELECT deviceId FROM devices WHERE properties.desired.interval = 5"
# The SDK sends etags as it gets them, and the service wants those of configurations in quotes.
FIRST = '"MQ=="'
EDGE = {"$edgeAgent": {"properties.desired": {"schemaVersion": "1.1"}}, "sensor": {"properties.desired.rate": 3}}


def configuration(name, content, target="", **fields):
    return Configuration(id=name, content=content, target_condition=target, **fields)


def device_content(interval):
    return ConfigurationContent(device_content={"properties.desired.interval": interval})


def quoted(configuration):
    return f'"{configuration.etag}"'


def until(look):
    while not (found := look()):
        time.sleep(0.05)
    return found


@step("create")
def _():
    metrics = ConfigurationMetrics(queries={"mine": MINE})
    new = configuration("interval", device_content(5), NORTH, priority=10, labels={"for": "tests"}, metrics=metrics)
    made = hub.create_configuration(new)
    same((made.id, made.target_condition, made.priority, made.labels), ("interval", NORTH, 10, {"for": "tests"}))
    same(made.etag, "MQ==")
    assert made.created_time_utc and made.last_updated_time_utc


@step("create what exists")
def _():
    new = configuration("interval", device_content(6))
    refused(409, "ConfigurationAlreadyExists", hub.create_configuration, new)


@step("create with content of no kind")
def _():
    content = ConfigurationContent(device_content={"interval": 5})
    refused(400, "InvalidConfigurationContent", hub.create_configuration, configuration("bad", content))


@step("read")
def _():
    read = hub.get_configuration("interval")
    same(read.content.device_content, {"properties.desired.interval": 5})
    same(read.metrics.queries, {"mine": MINE})


@step("read what does not exist")
def _():
    refused(404, "ConfigurationNotFound", hub.get_configuration, "no-such-configuration")


@step("it reaches the devices it is for")
def _():
    until(lambda: registry.get_twin("north").properties.desired.get("interval") == 5)
    assert "interval" not in registry.get_twin("south").properties.desired


@step("metrics")
def _():
    def look():
        read = hub.get_configuration("interval")
        counts = read.system_metrics.results, read.metrics.results
        return counts == ({"targetedCount": 1, "appliedCount": 1}, {"mine": 1})

    until(look)


@step("update")
def _():
    read = hub.get_configuration("interval")
    read.priority = 20
    updated = hub.update_configuration(read, quoted(read))
    same((updated.priority, updated.etag), (20, "Mg=="))


@step("update in an old version")
def _():
    read = hub.get_configuration("interval")
    refused(412, "PreconditionFailed", hub.update_configuration, read, FIRST)


@step("another content is not taken")
def _():
    read = hub.get_configuration("interval")
    read.content = device_content(6)
    same(hub.update_configuration(read, quoted(read)).content.device_content, {"properties.desired.interval": 5})


@step("deploy modules to edge devices")
def _():
    new = configuration("deployment", ConfigurationContent(modules_content=EDGE), "tags.edge = true", priority=1)
    hub.create_configuration(new)
    until(lambda: "sensor" in [module.module_id for module in registry.get_modules("gateway")])
    until(lambda: registry.get_module_twin("gateway", "sensor").properties.desired.get("rate") == 3)


@step("list")
def _():
    same(sorted(it.id for it in hub.get_configurations()), ["deployment", "interval"])


@step("test queries")
def _():
    test = ConfigurationQueriesTestInput(target_condition=NORTH, custom_metric_queries={"mine": MINE})
    good = hub.test_configuration_queries(test)
    same((good.target_condition_error or "", good.custom_metric_query_errors or {}), ("", {}))
    test = ConfigurationQueriesTestInput(target_condition="tags. =", custom_metric_queries={"mine": "SELECT"})
    bad = hub.test_configuration_queries(test)
    assert bad.target_condition_error
    same(list(bad.custom_metric_query_errors), ["mine"])


@step("set the modules of one edge device")
def _():
    hub.delete_configuration("deployment")
    modules = dict(EDGE, sensor={"properties.desired.rate": 4})
    hub.apply_configuration_on_edge_device("gateway", ConfigurationContent(modules_content=modules))
    same(registry.get_module_twin("gateway", "sensor").properties.desired["rate"], 4)


@step("set the modules of a plain device")
def _():
    content = ConfigurationContent(modules_content=EDGE)
    error = refused(400, "ArgumentInvalid", hub.apply_configuration_on_edge_device, "north", content)
    assert error


@step("delete in an old version")
def _():
    refused(412, "PreconditionFailed", hub.delete_configuration, "interval", FIRST)


@step("delete")
def _():
    hub.delete_configuration("interval", quoted(hub.get_configuration("interval")))
    refused(404, "ConfigurationNotFound", hub.get_configuration, "interval")
    # What it wrote stays.
    same(registry.get_twin("north").properties.desired["interval"], 5)


@step("delete what does not exist")
def _():
    refused(404, "ConfigurationNotFound", hub.delete_configuration, "no-such-configuration")
