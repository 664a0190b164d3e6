"""`python -m node.health`: does the node with this environment answer, where it listens? The image's HEALTHCHECK.

Exit status 0 if it does, else 1, with a line that says why not.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping
from http import HTTPStatus

from gossip.view import port_of
from node.config import Config
from node.environment import read_environment
from node.errors import BadEnvironment

_LOOPBACK_OF = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where to ask a node that listens everywhere."""
UNREAD = {"TOKENS_FILE": "", "CLUSTER_SECRET_FILE": ""}
"""A node serves on by what it has read, whatever has become of its files since."""
ANSWERS = (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)
"""Of a node that serves. One that has tokens has none to spare for this."""


def where(config: Config) -> tuple[str, int]:
    """The host and port at which the node can be asked from its own machine."""
    host = _LOOPBACK_OF.get(config.bind, config.bind)
    assert host is not None
    return host, port_of(config.address)


def main(environment: Mapping[str, str]) -> int:
    try:
        config = read_environment({**environment, **UNREAD})
        host, port = where(config)
        asked = http.client.HTTPConnection(host, port, timeout=config.patience_s)
        asked.request("GET", "/kvs/key-count")
        status = asked.getresponse().status
    except BadEnvironment as fault:
        print(fault)
        return 1
    except (OSError, http.client.HTTPException) as fault:
        print(f"no answer from {host}, port {port}: {fault}")
        return 1
    print(f"{host}, port {port}: {status}")
    return int(status not in ANSWERS)


if __name__ == "__main__":
    sys.exit(main(os.environ))
