"""`python -m tests.compat NAME…` makes what these releases leave behind anew, by their own code: see `releases`.

Each release is unpacked from its commit, and its nodes run as processes, with the packages that are installed here.
They live through two stories, are stopped, and their store files are packed. The files differ from run to run, as
clocks and store ids do: so a release whose files are there already is left alone unless it is named.
"""

from __future__ import annotations

import contextlib
import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import msgspec

from gossip.view import Address
from tests.compat.releases import RELEASES, Left, Release, file_of

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 30.0

LAUNCH = """
import importlib, runpy
for module in ("node.data_dir", "node.disk", "node.storage.data_dir", "node.storage.lmdb_engine"):
    try:
        found = vars(importlib.import_module(module))
    except ImportError:
        continue
    for each in (getattr(found.get("DataDir"), "__init__", None), found.get("open_engine")):
        if each is not None and each.__defaults__:
            each.__defaults__ = tuple(2**20 if default == 2**30 else default for default in each.__defaults__)
runpy.run_module("node", run_name="__main__")
"""
"""Runs a node of any release, with a map that is small at first: so is what is left of it."""

FRAMES_OF_3_0 = """
import json
from gossip.messages import Digest, Record
from gossip.view import Stamp
from node.wire import Call, CallFrame, FetchView, Read, Reply, ReplyFrame, Taken, encode
own = Record("10.10.0.4:13800", 1, 2, 3, 4, 5)
frames = {
    "call: FetchView": CallFrame(6, (Call(7, Stamp(0, 8), 450, FetchView()),), ()),
    "call: Read": CallFrame(6, (Call(7, Stamp(0, 8), 450, Read(b"key")),), ()),
    "cast: Digest": CallFrame(6, (), (Digest(Stamp(0, 8), own, (), ()),)),
    "reply: Taken": ReplyFrame(6, (Reply(7, Taken()),)),
}
print(json.dumps({name: encode(frame).hex() for name, frame in frames.items()}, indent=0))
"""
"""Some of what it sends, which no later release understands."""

PLAIN = tuple(f"127.77.30.{number}:14700" for number in (2, 3, 4))
COPIES = tuple(f"127.77.31.{number}:14700" for number in (2, 3))
TEN_YEARS_S = 315_360_000
AWKWARD = {
    "ключ": '{"a": [1, 2.50, null]}',
    "a/b%c": "null",
    "\N{MUSICAL SYMBOL G CLEF}" * 50: "12345678901234567890.0",
    "large": json.dumps("0123456789" * 500),
}


class Nodes:
    """Processes of one release, in one store."""

    def __init__(self, tree: Path, data: Path) -> None:
        self._tree = tree
        self._data = data
        self._running: dict[Address, subprocess.Popen[bytes]] = {}

    def start(self, node: Address, **environment: str) -> None:
        """Raises TimeoutError if it does not answer in time."""
        own = {"ADDRESS": node, "DATA_DIR": str(self.directory(node)), "PATH": os.environ["PATH"]} | environment
        command = [sys.executable, "-c", LAUNCH]
        self._running[node] = subprocess.Popen(command, cwd=self._tree, env=own)
        deadline = time.monotonic() + PATIENCE_S
        while self.ask(node, "GET", "/kvs/key-count")[0] != 200:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{node} does not answer")
            time.sleep(0.1)

    def directory(self, node: Address) -> Path:
        return self._data / node.replace(":", "-")

    def end(self, node: Address, number: int = signal.SIGTERM) -> None:
        process = self._running.pop(node)
        process.send_signal(number)
        process.wait(PATIENCE_S)

    def end_all(self) -> None:
        for node in list(self._running):
            self.end(node)

    def ask(self, node: Address, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Status and body; status 0: there was no answer."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{node}{path}", data, {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def demand(self, expected: tuple[int, ...], node: Address, method: str, path: str, body: object = None) -> bytes:
        deadline = time.monotonic() + PATIENCE_S
        while (answer := self.ask(node, method, path, body))[0] not in expected:
            if answer[0] not in (0, 503) or time.monotonic() > deadline:
                raise AssertionError(f"{method} {path} at {node}: {answer}")
            time.sleep(0.1)
        return answer[1]


class Story:
    """What clients do, and are told."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.values: dict[str, str] = {}
        self.deleted: set[str] = set()

    def put(self, node: Address, key: str, value: str, further: str = "") -> None:
        body = f'{{"value": {value}{further}}}'.encode()
        self.nodes.demand((200, 201), node, "PUT", f"/kvs/keys/{quote(key, safe='')}", body)
        self.values[key] = value
        self.deleted.discard(key)

    def delete(self, node: Address, key: str) -> None:
        self.nodes.demand((200,), node, "DELETE", f"/kvs/keys/{quote(key, safe='')}")
        del self.values[key]
        self.deleted.add(key)

    def fill(self, node: Address, first: int, last: int, release: Release) -> None:
        """Keys that are new, overwritten, deleted, written again, and awkward."""
        for number in range(first, last):
            self.put(node, f"k{number}", str(number))
        for number in range(first, last, 5):
            self.put(node, f"k{number}", f'"again {number}"')
        for number in range(first + 1, last, 5):
            self.delete(node, f"k{number}")
        self.put(node, f"k{first + 1}", '"revived"')
        for key, value in AWKWARD.items():
            self.put(node, key, value)
        if release.has_expiry:
            self.put(node, f"expires{first}", '"late"', f', "ttl": {TEN_YEARS_S}')

    def left(self, nodes: tuple[Address, ...], view: tuple[Address, ...], repl_factor: int | None) -> Left:
        epoch = json.loads(self.nodes.demand((200,), view[0], "GET", "/kvs/view-change"))["epoch"]
        self.nodes.end_all()
        return Left(nodes, view, epoch, repl_factor, self.values, tuple(sorted(self.deleted)))


def plain(nodes: Nodes, release: Release) -> Left:
    """Three nodes with one copy of each key, of which one was killed and removed with what only it has: it is named a
    donor by the others."""
    a, b, c = PLAIN
    story = Story(nodes)
    for node in (a, b, c):
        nodes.start(node, VIEW=f"{a},{b}")
    story.fill(a, 0, 60, release)
    nodes.demand((200,), a, "PUT", "/kvs/view-change", {"view": ",".join(PLAIN)})
    story.fill(c, 60, 120, release)
    nodes.end(b, signal.SIGKILL)
    nodes.demand((200,), a, "PUT", "/kvs/view-change", {"view": f"{a},{c}"})
    for number in range(120, 150):
        story.put(c, f"k{number}", str(number))
    return story.left(PLAIN, (a, c), None)


def copies(nodes: Nodes, release: Release) -> Left:
    """Two nodes of one shard, at the view of their environment."""
    story = Story(nodes)
    for node in COPIES:
        nodes.start(node, VIEW=",".join(COPIES), REPL_FACTOR="2")
    story.fill(COPIES[0], 0, 60, release)
    return story.left(COPIES, COPIES, 2)


STORIES = {"plain": plain, "copies": copies}


@contextlib.contextmanager
def tree_of(release: Release) -> Iterator[Path]:
    """The files of its commit."""
    with TemporaryDirectory() as name:
        archive = ["git", "archive", release.commit]
        packed = subprocess.run(archive, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        subprocess.run(["tar", "-x", "-C", name], input=packed.stdout, check=True)
        yield Path(name)


def make(release: Release) -> None:
    shutil.rmtree(release.directory, ignore_errors=True)
    release.directory.mkdir()
    told: dict[str, Left] = {}
    with tree_of(release) as tree:
        for name, story in STORIES.items():
            nodes = Nodes(tree, tree / "data" / name)
            try:
                told[name] = story(nodes, release)
            finally:
                nodes.end_all()
            for node in told[name].nodes:
                store = (nodes.directory(node) / "store.lmdb").read_bytes()
                file_of(release, name, node).write_bytes(lzma.compress(store, preset=9))
        write_frames(release, tree)
    (release.directory / "told.json").write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=0) + b"\n")


def write_frames(release: Release, tree: Path) -> None:
    frames = tree / "tests/golden/frames.json"
    if frames.exists():
        shutil.copyfile(frames, release.directory / frames.name)
        return
    printed = subprocess.run([sys.executable, "-c", FRAMES_OF_3_0], cwd=tree, stdout=subprocess.PIPE, check=True).stdout
    (release.directory / "frames-refused.json").write_bytes(printed)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or [name for name, each in RELEASES.items() if not each.directory.exists()]:
        make(RELEASES[wanted])
