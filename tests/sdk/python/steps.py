"""What all scenarios share: the hub, and steps that tell how they went.

A step is a function that runs at once. Each prints one line of JSON: its name, and what went wrong if
something did. The next step runs either way, so that one report tells everything.
"""

import json
import os
import sys
import traceback

import msrest.exceptions

HUB = os.environ["HUB_CONNECTION_STRING"]
KEY_1 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KEY_2 = "HxAdHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA="


def step(name):
    def run(function):
        result = {"step": name}
        try:
            function()
        except Exception as error:
            where = traceback.extract_tb(sys.exc_info()[2])[1:2]
            line = where[0].line if where else ""
            result["error"] = f"{type(error).__name__}: {error} ({line})"
        print(json.dumps(result), flush=True)
        return function

    return run


def refused(status, code, call, *arguments, **options):
    """The SDK's own exception, with this status and the hub's name for the error."""
    try:
        answer = call(*arguments, **options)
    except msrest.exceptions.HttpOperationError as error:
        assert error.response.status_code == status, f"{error.response.status_code}: {error.response.text}"
        assert error.response.headers["iothub-errorcode"] == code, error.response.text
        return error
    raise AssertionError(f"not refused: {answer}")


def same(one, other):
    assert one == other, f"{one!r} is not {other!r}"
