"""What is in the image, and under which constraints it runs: OpenShift's, and those of the strictest of Kubernetes."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.cluster import ROOT, Client, eventually
from tests.commands import run
from tests.docker.containers import IMAGE, LABEL, NODE1, PAIR, SPOTS, Containers, Spot, docker, expect_content, inspect

pytestmark = [pytest.mark.docker, pytest.mark.timeout(90)]

BYTES_MAX = 50_000_000
"""On top of the image that it is made from."""
FIRST_OF_OURS = "org.opencontainers.image.title"
"""What the Dockerfile says first, once it has begun with that image."""
STOP_S = 5.0
PYTHONS = ("/opt/kvs/bin/python", "/usr/local/bin/python")
TOOLS = ("pip", "pip3", "wheel", "gcc", "cc", "c++", "ld", "make", "cargo")
MODULES = ("pip", "setuptools", "wheel", "pkg_resources", "ensurepip")
ANY_USER = ["--user", "1000720000:0", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
WAITING = [
    b"GET /kvs/keys/absent?wait=60 HTTP/1.1\r\nHost: node\r\n\r\n",
    b"PUT /kvs/keys/half HTTP/1.1\r\nHost: node\r\nContent-Length: 100\r\n\r\n{",
    b"POST /kvs/batch HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /kvs/keys/half HTT",
    b"",
    b"GET /kvs/watch HTTP/1.1\r\nHost: node\r\n\r\n",
]
"""What clients send that are in no hurry. The last is answered at once: it has come in, and so have those before it."""


async def within(command: str) -> str:
    """What a shell in the image prints."""
    return await docker("run", "--rm", "--label", LABEL, "--network", "none", IMAGE, "sh", "-c", command)


async def test_image_takes_little_room_on_top_of_its_base(bare_engine: None) -> None:
    layers = await docker("history", "--no-trunc", "--human=false", "--format", "{{json .}}", IMAGE)
    ours = []
    for layer in map(json.loads, layers.splitlines()):
        ours.append(int(layer["Size"]))
        if FIRST_OF_OURS in layer["CreatedBy"]:
            break
    else:
        pytest.fail(f"no layer has {FIRST_OF_OURS}")
    assert 10_000_000 < sum(ours) <= BYTES_MAX


async def test_image_says_what_it_is(bare_engine: None) -> None:
    labels = (await inspect(IMAGE))["Config"]["Labels"]
    told = {name.removeprefix("org.opencontainers.image."): text for name, text in labels.items()}
    assert told.keys() == {"title", "description", "version", "licenses", "base.name", "revision"}
    base = re.findall(r"^FROM (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert [told["title"], told["licenses"], told["base.name"]] == ["kvs", "MIT", f"docker.io/library/{base[-1]}"]
    assert told["revision"], "of the source; unknown, if the build was not told"


async def test_image_has_nothing_that_builds_or_installs(bare_engine: None) -> None:
    looks = [f"command -v {tool}" for tool in TOOLS]
    looks += [f"{python} -c 'import {module}' 2>/dev/null && echo {module}" for python in PYTHONS for module in MODULES]
    assert await within("; ".join(looks) + "; true") == ""


async def test_image_lists_what_it_is_made_of(bare_engine: None) -> None:
    """All that is installed, in the versions that are locked."""
    listed = json.loads(await within("cat /opt/kvs/sbom.cdx.json"))
    assert listed["bomFormat"] == "CycloneDX"
    components = {canonical(part["name"]): part["version"] for part in listed["components"]}
    ask = "import json, importlib.metadata as m; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"
    installed = {canonical(name): version for name, version in json.loads(await within(f"python -c '{ask}'"))}
    assert components == installed
    pins = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    locked = {canonical(name): version for name, version in pins}
    assert components.items() - locked.items() == {("kvs-sharded", components["kvs-sharded"])}
    assert {"aiohttp", "uvloop", "lmdb", "msgspec"} <= components.keys()
    assert all(part["purl"].startswith("pkg:pypi/") for part in listed["components"] if part["name"] != "kvs-sharded")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


async def test_image_runs_as_any_user_of_group_0_on_a_root_that_is_read_only(
    containers: Containers, http: Client
) -> None:
    await containers.start(*PAIR, view=PAIR, repl_factor=2, options=ANY_USER)
    content = await containers.load(*PAIR, keys=20)
    status = await docker("exec", NODE1.name, "cat", "/proc/1/status")
    assert re.search(r"^Uid:\s+1000720000\s", status, re.MULTILINE) and re.search(r"^Gid:\s+0\s", status, re.MULTILINE)
    assert (await run("docker", "exec", NODE1.name, "touch", "/tmp/mine")).status != 0

    async def healthy() -> bool:
        return bool((await inspect(NODE1.name))["State"]["Health"]["Status"] == "healthy")

    await eventually(healthy, "the HEALTHCHECK")
    await docker("kill", NODE1.name)
    await docker("start", NODE1.name)
    await containers.serving(*PAIR)
    await expect_content(http, content, *PAIR)
    assert await ends_s(NODE1) < STOP_S


async def test_image_is_stopped_in_time_whatever_its_clients_wait_for(containers: Containers, http: Client) -> None:
    """A stop under way of the one, the other cannot be asked."""
    await containers.start(*PAIR, view=PAIR, repl_factor=2)
    await containers.serving(*PAIR)
    writers, shown = [], "".join(f"{name}: {text}\r\n" for name, text in http.way.headers.items()).encode()
    for spot in PAIR:
        host, port = spot.published.split(":")
        for words in WAITING * 5:
            reader, writer = await asyncio.open_connection(host, int(port), ssl=http.way.tls)
            writer.write(words.replace(b"Host: node\r\n", b"Host: node\r\n" + shown))
            writers.append(writer)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    assert max(await asyncio.gather(*map(ends_s, PAIR))) < STOP_S
    for writer in writers:
        writer.close()


async def test_image_is_stopped_in_time_before_it_serves(bare_engine: None) -> None:
    """From its first step on. Before that, the kernel drops what is sent to a container's first process."""

    async def start_and_stop(spot: Spot) -> float:
        told = ["--env", f"ADDRESS={spot.address}", "--env", f"VIEW={spot.address}"]
        await docker("run", "--detach", "--label", LABEL, "--name", spot.name, "--network", "none", *told, IMAGE)
        pid = (await inspect(spot.name))["State"]["Pid"]

        async def has_begun() -> bool:
            return keeps_sigterm(Path(f"/proc/{pid}/status"))

        await eventually(has_begun, "the image's first step")
        return await ends_s(spot)

    assert max(await asyncio.gather(*map(start_and_stop, SPOTS))) < STOP_S


def keeps_sigterm(status: Path) -> bool:
    """Whether the process is one of the image's, and blocks or catches it."""
    if not status.exists():
        pytest.skip("the docker daemon is on another machine")
    told = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
    masks = int(told["SigBlk"], 16) | int(told["SigCgt"], 16)
    return told["Name"] in ("env", "python") and bool(masks >> (signal.SIGTERM - 1) & 1)


async def ends_s(spot: Spot) -> float:
    """Stop it, and tell how long it took to end by itself."""
    began = time.time()
    await docker("stop", "--time", "20", spot.name)
    state = (await inspect(spot.name))["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)
    return datetime.fromisoformat(state["FinishedAt"]).timestamp() - began
