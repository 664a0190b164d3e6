"""A node that its own `VIEW` gives two names does not start; whatever cannot be found out in time is no reason."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from gossip.view import Address
from node import own_names
from node.config import Config
from node.errors import BadEnvironment
from node.own_names import demand_one_name

HOSTS = {
    "localhost": ["127.0.0.1", "::1"],
    "127.0.0.1": ["127.0.0.1"],
    "node1": ["10.0.0.1"],
    "node1.rack": ["10.0.0.1", "fd00::1"],
    "node2": ["10.0.0.2"],
    "wildcard1": ["192.0.2.1"],
    "wildcard2": ["192.0.2.1"],
    "10.0.0.1": ["10.0.0.1"],
}


def lookup(host: str) -> Iterable[str]:
    if host not in HOSTS:
        raise OSError("no such host")
    return HOSTS[host]


def config_of(address: Address, *view: Address) -> Config:
    return Config(address=address, view=view, data_dir=Path("/nowhere"))


@pytest.mark.parametrize(
    ("address", "view", "aliases"),
    [
        ("localhost:1", ["localhost:1", "127.0.0.1:1"], ["127.0.0.1:1"]),
        ("127.0.0.1:1", ["localhost:1", "127.0.0.1:1"], ["localhost:1"]),
        ("node1:1", ["node1:1", "node1.rack:1", "node2:1", "10.0.0.1:1"], ["node1.rack:1", "10.0.0.1:1"]),
        ("node1:1", ["10.0.0.1:1", "node2:1"], ["10.0.0.1:1"]),
        ("localhost:1", ["localhost:1", "127.0.0.1:2"], []),
        ("node1:1", ["node1:1", "node2:1", "nowhere:1"], []),
        ("nowhere:1", ["nowhere:1", "node1:1", "no.where:1"], []),
        ("node1:1", ["node1:1", "wildcard1:1", "wildcard2:1"], []),
        ("node1:1", ["node1:1"], []),
    ],
)
def test_own_names_are_one(address: Address, view: list[Address], aliases: list[Address]) -> None:
    if not aliases:
        demand_one_name(config_of(address, *view), lookup)
        return
    with pytest.raises(BadEnvironment) as caught:
        demand_one_name(config_of(address, *view), lookup)
    assert caught.value.status == 2
    assert caught.value.faults == tuple(
        f"VIEW: {alias!r} is this node, whose ADDRESS is {address!r}: give it one name" for alias in aliases
    )


def test_own_names_are_not_looked_at_where_there_is_a_store(tmp_path: Path) -> None:
    (tmp_path / "store.lmdb").touch()
    config = Config(address="node1:1", view=("node1:1", "node1.rack:1"), data_dir=tmp_path)
    demand_one_name(config, lookup)
    (tmp_path / "store.lmdb").unlink()
    with pytest.raises(BadEnvironment):
        demand_one_name(config, lookup)


def test_own_names_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_names, "LOOKUP_S", 0.01)
    ends = threading.Event()

    def hangs(host: str) -> Iterable[str]:
        if host == "node1.rack":
            ends.wait(20)
        return lookup(host)

    demand_one_name(config_of("node1:1", "node1:1", "node1.rack:1"), hangs)
    ends.set()
