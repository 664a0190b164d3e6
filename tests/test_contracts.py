"""Can the contracts of the house be broken without anybody noticing? Each is broken on purpose, in a copy.

A contract that names a module that has moved, or forgets a room, says "kept" for ever. So for each one in `setup.cfg`
there is a forbidden import below, or a module where none is expected, and import-linter has to name the contract.
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("node", "kvs", "gossip", "ring")
PREFIX = "importlinter:contract:"
LINTER = """
import contextlib, io, json, sys
from importlinter.cli import lint_imports
for wanted in sys.stdin:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = lint_imports(limit_to_contracts=tuple(wanted.split()), cache_dir="cache")
    print(json.dumps([status, said.getvalue()]), flush=True)
"""
"""Looks at the packages where it is started, once for each line that it is sent: ids of contracts, or none for all."""


class Try(NamedTuple):
    contract: str
    """Its id in `setup.cfg`."""
    module: str
    """Made if there is none."""
    planted: str


TRIES = [
    Try("direction", "ring/sets.py", "import gossip.view"),
    Try("direction", "gossip/view.py", "import ring.sets"),
    Try("direction", "gossip/dissemination.py", "import node.errors"),
    Try("rooms", "node/errors.py", "import node.config"),
    Try("rooms", "node/config.py", "import node.values.version"),
    Try("rooms", "node/environment.py", "import node.values.version"),
    Try("rooms", "node/values/context.py", "import node.timing.clock"),
    Try("rooms", "node/timing/clock.py", "import node.storage.keys"),
    Try("rooms", "node/storage/keys.py", "import node.net.frames"),
    Try("rooms", "node/net/frames.py", "import node.storage.keys"),
    Try("rooms", "node/storage/store.py", "import node.views.rules"),
    Try("rooms", "node/views/holder.py", "import node.replication.outbox"),
    Try("rooms", "node/replication/outbox.py", "import node.repair.transfer"),
    Try("rooms", "node/repair/transfer.py", "import node.retention.stability"),
    Try("rooms", "node/retention/stability.py", "import node.operations.causality"),
    Try("rooms", "node/operations/causality.py", "import node.repair.handoff"),
    Try("rooms", "node/operations/router.py", "import node.node"),
    Try("rooms", "node/node.py", "import node.api.data"),
    Try("rooms", "node/api/data.py", "import node.process"),
    Try("rooms", "node/logs.py", "import node.process"),
    Try("rooms", "node/own_names.py", "import node.logs"),
    Try("rooms", "node/health.py", "import node.values"),
    Try("rooms", "node/histogram.py", "import node.health"),
    Try("rooms", "node/process.py", "import node.__main__"),
    Try("rooms", "node/helpers.py", ""),
    Try("rooms", "node/cellar/__init__.py", ""),
    Try("lmdb", "node/views/holder.py", "import lmdb"),
    Try("lmdb", "node/process.py", "import lmdb"),
    Try("aiohttp", "node/views/calls.py", "import aiohttp"),
    Try("aiohttp", "node/process.py", "from aiohttp import web"),
    Try("prometheus", "node/api/tally.py", "import prometheus_client"),
    Try("deciding-is-pure", "node/net/link_state.py", "import asyncio"),
    Try("deciding-is-pure", "node/operations/route_state.py", "import asyncio"),
    Try("deciding-is-pure", "node/operations/sightings.py", "import node.views.calls"),
    Try("deciding-is-pure", "node/repair/holdings.py", "import asyncio"),
    Try("deciding-is-pure", "node/replication/emptied_disk.py", "import time"),
    Try("deciding-is-pure", "node/replication/outbox.py", "import asyncio"),
    Try("deciding-is-pure", "node/replication/peer_state.py", "import random"),
    Try("deciding-is-pure", "node/values/record.py", "import asyncio"),
    Try("deciding-is-pure", "node/values/expiry.py", "import time"),
    Try("deciding-is-pure", "node/views/change_conditions.py", "import asyncio"),
    Try("deciding-is-pure", "node/views/risk.py", "import asyncio"),
    Try("deciding-is-pure", "node/views/plan.py", "import random"),
    Try("deciding-is-pure", "node/views/rules.py", "import asyncio"),
    Try("deciding-is-pure", "node/timing/pause_detector.py", "import time"),
    Try("deciding-is-pure", "node/timing/witnesses.py", "import time"),
    Try("aiohttp", "kvs/connection.py", "import aiohttp"),
    Try("kvs-deciding-is-pure", "kvs/repeating.py", "import asyncio"),
    Try("kvs-deciding-is-pure", "kvs/nodes.py", "import time"),
    Try("kvs-deciding-is-pure", "kvs/http.py", "import socket"),
    Try("kvs-library", "kvs/data.py", "import kvs.params"),
    Try("kvs-library", "kvs/endpoints.py", "import rich"),
    Try("kvs-apart", "kvs/responses.py", "import node.errors"),
    Try("kvs-apart", "node/api/admin.py", "import kvs.responses"),
    Try("kvs-borrows-little", "kvs/client.py", "import gossip.membership"),
    Try("kvs-borrows-little", "kvs/load.py", "import lmdb"),
    Try("ring-is-pure", "ring/reshard.py", "import random"),
    Try("ring-layers", "ring/hashing.py", "import ring.sets"),
    Try("ring-layers", "ring/placement.py", "import ring.sets"),
    Try("ring-layers", "ring/vnodes.py", ""),
    Try("gossip-is-pure", "gossip/core.py", "import time"),
    Try("gossip-is-pure", "gossip/view.py", "import asyncio"),
    Try("gossip-layers", "gossip/view.py", "import gossip.messages"),
    Try("gossip-layers", "gossip/probing.py", "import gossip.dissemination"),
    Try("gossip-layers", "gossip/helpers.py", ""),
    Try("gossip-loop-drives", "gossip/core.py", "import gossip.loop"),
]


def contracts() -> dict[str, str]:
    """Their names by their ids."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    sections = [section for section in parser.sections() if section.startswith(PREFIX)]
    return {section.removeprefix(PREFIX): parser[section]["name"] for section in sections}


class House:
    """A copy of the packages and their contracts, and import-linter in a process of its own that looks at them: here,
    `node` is imported from elsewhere. One process for all, which reads again what has changed."""

    def __init__(self, place: Path, linter: subprocess.Popen[str]) -> None:
        self.place = place
        self._linter = linter

    def broken(self, *contracts: str) -> set[str]:
        """The names of the contracts that are found broken, among those with these ids, or all."""
        assert self._linter.stdin is not None and self._linter.stdout is not None
        self._linter.stdin.write(f"{' '.join(contracts)}\n")
        self._linter.stdin.flush()
        status, said = json.loads(self._linter.stdout.readline())
        found = set(re.findall(r"^(.*) BROKEN", said, re.MULTILINE))
        assert status == bool(found), said
        return found


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    copy = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", copy)
    command, pipe = [sys.executable, "-c", LINTER], subprocess.PIPE
    with subprocess.Popen(command, cwd=copy, stdin=pipe, stdout=pipe, text=True) as linter:
        yield House(copy, linter)
        assert linter.stdin is not None
        linter.stdin.close()


def test_contracts_hold_in_the_copy(house: House) -> None:
    assert house.broken() == set()


def test_contracts_have_a_try_each() -> None:
    assert {attempt.contract for attempt in TRIES} == set(contracts())


@pytest.mark.parametrize("attempt", TRIES, ids=lambda attempt: f"{attempt.contract}: {attempt.module}")
def test_contract_broken_on_purpose_is_noticed(house: House, attempt: Try) -> None:
    module = house.place / attempt.module
    room_is_new, before = not module.parent.exists(), module.read_text() if module.exists() else None
    module.parent.mkdir(exist_ok=True)
    module.write_text(f"{before or ''}\n{attempt.planted}\n")
    try:
        assert house.broken(attempt.contract) == {contracts()[attempt.contract]}
    finally:
        if before is not None:
            module.write_text(before)
        elif room_is_new:
            shutil.rmtree(module.parent)
        else:
            module.unlink()
