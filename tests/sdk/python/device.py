"""A device that connects, and goes on until it is ended: what happens to it is one line of JSON each.

It reads its twin, follows its desired properties, answers every method by what it heard, and comes back when it
was cut off. Whoever plays the back end reads the lines.
"""

import json
import os
import threading
import time

from azure.iot.device import IoTHubDeviceClient, MethodResponse
from azure.iot.device.exceptions import CredentialError

# The SDK takes no port.
NAME = os.environ["DEVICE_CONNECTION_STRING"]
with open(os.environ["REQUESTS_CA_BUNDLE"]) as file:
    AUTHORITY = file.read()

lock = threading.Lock()


def tell(event, **details):
    with lock:
        print(json.dumps({"event": event, **details}), flush=True)


def follow(patch):
    tell("desired", patch=patch)
    device.patch_twin_reported_properties({"following": patch.get("speed")})
    tell("reported")


def answer(call):
    tell("method", name=call.name, payload=call.payload)
    device.send_method_response(MethodResponse.create_from_method_request(call, 207, {"heard": call.payload}))


def connect():
    """Tries until it is let in. A refusal is told once."""
    refused = False
    while True:
        try:
            return device.connect()
        except CredentialError:
            if not refused:
                tell("refused")
            refused = True
        time.sleep(0.2)


device = IoTHubDeviceClient.create_from_connection_string(
    NAME, server_verification_cert=AUTHORITY, connection_retry=False
)
device.on_twin_desired_properties_patch_received = follow
device.on_method_request_received = answer
device.on_background_exception = lambda error: None
while True:
    connect()
    twin = device.get_twin()
    device.send_message("hello")
    tell("connected", twin=twin)
    while device.connected:
        time.sleep(0.05)
    tell("disconnected")
