"""A cluster with everything on that keeps strangers out: tokens, a secret, certificates, limits.

The one place that knows how a node is locked and how a client gets in, for containers and for processes. `LOCKED=1` in
the environment has the tests on containers, those of the page, `make chaos` and `make soak` do all that they do on such
nodes.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple

import trustme

from gossip.view import Address
from tests.node.certs import believing, files_in, issue, variables
from tests.node.tokens import ADMIN, bearing, tokens_file, write_secret

SECRET = "the-secret-that-all-nodes-of-one-cluster-know"
LIMITS = "connections=1500,connections-per-address=1000"
"""The others are as they are by default; these can be reached within seconds."""
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Way(NamedTuple):
    """How clients reach nodes, and what they show them."""

    tls: ssl.SSLContext | None = None
    """None: in the clear."""
    headers: Mapping[str, str] = NO_HEADERS

    @property
    def scheme(self) -> str:
        return "http" if self.tls is None else "https"


OPEN = Way()
"""To nodes that trust their network."""


class Locks:
    """What the nodes of one cluster are given, in `directory`, which has to stay as long as they run."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ca = trustme.CA()
        self.way = Way(believing(self._ca), bearing(ADMIN))
        """Of a client that is believed to be an administrator."""

    def knocking(self, token: str | None) -> Way:
        """Of one that has another token, or none."""
        return self.way._replace(headers=bearing(token))

    def files_of(self, node: Address, *hosts: str) -> Path:
        """The directory with all files of one node, made unless there is one; `hosts`: under which others know it."""
        directory = self._directory / f"locks-{node}".replace(":", "-")  # Docker takes no colon in a path.
        if not directory.exists():
            issue(directory, self._ca, *hosts)
            tokens_file(directory)
            write_secret(directory / "secret", SECRET)
            for secret in ("tokens", "secret", "key.pem"):
                (directory / secret).chmod(0o640)
        return directory


def environment(directory: Path) -> dict[str, str]:
    """The environment of a node that finds its files there."""
    tls = variables(files_in(directory))
    return tls | {
        "TOKENS_FILE": str(directory / "tokens"),
        "CLUSTER_SECRET_FILE": str(directory / "secret"),
        "LIMITS": LIMITS,
    }


def is_asked() -> bool:
    """`LOCKED`: 1, or 0, which is the same as none."""
    match os.environ.get("LOCKED") or "0":
        case "0" | "1" as asked:
            return asked == "1"
        case other:
            raise SystemExit(f"make: LOCKED is 1 or 0, not {other!r}")


@asynccontextmanager
async def locked_if(asked: bool) -> AsyncIterator[Locks | None]:
    """What programs give their nodes, whose files are gone at the end."""
    if not asked:
        yield None
        return
    with TemporaryDirectory(prefix="kvs-locks-") as directory:
        yield Locks(Path(directory))


def way_in(locks: Locks | None) -> Way:
    return OPEN if locks is None else locks.way
