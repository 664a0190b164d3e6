"""What earlier releases have left behind: small stores, and what their clients had been told, in a directory each.

`python -m tests.compat` made them, from the commits named here; nothing of an earlier release is ever made anew by the
code of today. A release that changes the protocol, or the form on disk, adds the one before it.
"""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import NamedTuple

import msgspec

from gossip.view import Address

HERE = Path(__file__).parent


class Release(NamedTuple):
    name: str
    commit: str
    has_expiry: bool
    """Whether it knows of keys that expire."""

    @property
    def directory(self) -> Path:
        return HERE / self.name


RELEASES = {
    release.name: release
    for release in (
        # The last commit before the changelog tells of anything that came after 3.0.0. It speaks to no later release.
        Release("3.0", "01442bf42f46fd00ef1b51ebe2f4b0746117a566", False),
        # The last one that tells no number of its protocol, and so speaks the first.
        Release("protocol-1", "c58c15502ca72227c88b5ee68599fe33c1e4fa20", True),
    )
}


class Left(msgspec.Struct, frozen=True):
    """A store whose nodes have all been stopped, and what their clients know of it."""

    nodes: tuple[Address, ...]
    """Each of which has left a directory."""
    view: tuple[Address, ...]
    """The nodes in the view at the end."""
    epoch: int
    repl_factor: int | None
    values: dict[str, str]
    """Each value as JSON text, by its key: all were acknowledged, and none deleted since."""
    deleted: tuple[str, ...]
    """The keys whose deletion was acknowledged."""


def stores_of(release: Release) -> dict[str, Left]:
    """By their names."""
    return msgspec.json.decode((release.directory / "told.json").read_bytes(), type=dict[str, Left])


def file_of(release: Release, store: str, node: Address) -> Path:
    """The packed store of `node`."""
    return release.directory / f"{store}-{node.replace(':', '-')}.xz"


def unpack(release: Release, store: str, node: Address, directory: Path) -> None:
    """Make `directory` what `node` has left."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "store.lmdb").write_bytes(lzma.decompress(file_of(release, store, node).read_bytes()))
