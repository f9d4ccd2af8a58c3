"""Tokens of Microsoft Entra ID: of an application that may do all, and of one that may only look after identities."""

import os
import time

import requests
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.iot.hub import DigitalTwinClient, IoTHubRegistryManager
from azure.iot.hub.models import ExportImportDevice

from steps import HUB, refused, same, step

HOST = dict(part.split("=", 1) for part in HUB.split(";"))["HostName"]


class Application:
    """A credential as the SDK takes one, made of an application's secret."""

    def __init__(self, client_id, secret="sesame"):
        self.client_id, self.secret, self.asked = client_id, secret, 0

    def get_token(self, scope, **_):
        self.asked += 1
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.secret,
            "scope": scope,
        }
        answer = requests.post(f"{os.environ['ENTRA_AUTHORITY']}/tenant/oauth2/v2.0/token", form, timeout=30)
        if answer.status_code != 200:
            raise ClientAuthenticationError(answer.json()["error"])
        token = answer.json()
        return AccessToken(token["access_token"], int(time.time()) + token["expires_in"])


def manager(credential):
    return IoTHubRegistryManager.from_token_credential(HOST, credential)


owner = Application("owner")
hub = manager(owner)


@step("call with a secret's token")
def _():
    hub.create_device_with_sas("device", "", "", "enabled")
    same(hub.get_twin("device").device_id, "device")
    # Once for HTTP, and once for AMQP, which the SDK prepares and does not use here.
    same(owner.asked, 2)


@step("call with a wrong secret")
def _():
    try:
        manager(Application("owner", "wrong")).get_device("device")
    except ClientAuthenticationError as error:
        same(str(error), "invalid_client")
    else:
        raise AssertionError("not refused")


@step("call without the role")
def _():
    registrar = manager(Application("registrar"))
    same(registrar.get_device("device").device_id, "device")
    refused(401, "IotHubUnauthorizedAccess", registrar.get_twin, "device")


@step("modules of a device that does not exist")
def _():
    # So it is with Entra ID; with shared access signatures it would be 401.
    refused(404, "DeviceNotFound", hub.get_module, "no-such-device", "module")


@step("change many at once")
def _():
    item = ExportImportDevice(id="another", import_mode="create", status="enabled")
    assert hub.bulk_create_or_update_devices([item]).is_successful


@step("call a command of a digital twin")
def _():
    # Refused whatever the roles say.
    commands = DigitalTwinClient.from_token_credential(HOST, owner)
    refused(401, "IotHubUnauthorizedAccess", commands.invoke_command, "device", "echo", {})
