"""Feedback on messages to devices. Those are sent by AMQP, so there never is any here."""

from azure.iot.hub import IoTHubHttpRuntimeManager

from steps import HUB, refused, same, step

hub = IoTHubHttpRuntimeManager.from_connection_string(HUB)


@step("ask when there is none")
def _():
    same(hub.receive_feedback_notification(), None)


@step("settle what nobody holds")
def _():
    refused(412, "DeviceMessageLockLost", hub.complete_feedback_notification, "lock")
    refused(412, "DeviceMessageLockLost", hub.abandon_feedback_notification, "lock")
