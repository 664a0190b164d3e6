"""A node started and ended within a block: what it needs before it touches anything, where it listens, how it ends."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from gossip.view import Address, host_of, port_of
from node.api.server import serving
from node.config import Config
from node.errors import BadDataDir, BadEnvironment, StartupFault
from node.storage.keys import Setting, setting_place
from tests.cluster import Client, eventually, fresh_addresses
from tests.node.storage.engine_contract import put
from tests.node.storage.opening import open_in
from tests.node.tokens import tokens_file, write_secret


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (address,) = fresh_addresses(1)
    return Config.for_test(address, (address,), tmp_path / "data")


@pytest.fixture
def taken() -> Iterator[Address]:
    """An address at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


async def test_server_address_in_use_is_refused_before_anything_is_touched(taken: Address, tmp_path: Path) -> None:
    with pytest.raises(StartupFault, match=f"ADDRESS {taken}: cannot listen"):
        async with serving(Config.for_test(taken, (taken,), tmp_path / "data")):
            pass
    assert os.listdir(tmp_path) == []


async def test_server_bad_data_dir_is_refused_by_name_and_frees_the_address(config: Config) -> None:
    config.data_dir.touch()
    for _ in range(2):
        with pytest.raises(BadDataDir, match=f"DATA_DIR {config.data_dir}: "):
            async with serving(config):
                pass
    config.data_dir.unlink()
    async with serving(config):
        pass


@pytest.mark.parametrize("setting", [Setting.STABLE_WATERMARK, Setting.PROMISE])
async def test_server_damaged_disk_is_refused_by_name_and_in_one_line(config: Config, setting: Setting) -> None:
    async with serving(config):
        pass
    with closing(open_in(config.data_dir)) as engine:
        await engine.submit(put(setting_place(setting), b"\xff"))
    what = f"DATA_DIR {config.data_dir}: store.lmdb is damaged: what it keeps as '{setting}' cannot be read: "
    for _ in range(2):
        with pytest.raises(BadDataDir, match=re.escape(what)) as caught:
            async with serving(config):
                pass
        assert len(caught.value.faults) == 1 and "\n" not in str(caught.value)


async def test_server_serves_within_its_block_and_keeps_what_it_was_given(config: Config, http: Client) -> None:
    async with serving(config) as serving_:
        assert (await http.put(config.address, "k", 1)).status == 201
        assert not serving_.life.done()
    assert serving_.life.done()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host_of(config.address), port_of(config.address))
    async with serving(config):
        assert (await http.get(config.address, "k")).json["value"] == 1


async def test_server_finds_itself_under_a_second_name_of_its_view(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    me, alias = f"127.0.0.1:{port}", f"localhost:{port}"
    async with serving(Config.for_test(me, (me, alias), tmp_path)) as serving_, asyncio.timeout(20):
        assert await serving_.second_name == alias


async def test_server_that_listens_at_the_address_of_another_node_has_no_second_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    me, other = fresh_addresses(2)
    async with serving(replace(Config.for_test(me, (me, other), tmp_path), bind=host_of(other))) as serving_:

        async def has_dialled_itself() -> bool:
            return f"it is this node, which takes {other!r} for another one" in caplog.text

        await eventually(has_dialled_itself, "the node has dialled itself")
        assert not serving_.second_name.done()


@pytest.mark.parametrize(
    ("bind", "hosts"),
    [(None, {"127.0.0.1", "127.0.0.9", "::1"}), ("127.0.0.1", {"127.0.0.1"}), ("::1", {"::1"})],
    ids=["every interface", "one of IPv4", "one of IPv6"],
)
async def test_server_listens_where_it_is_told(bind: str | None, hosts: set[str], tmp_path: Path) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    async with serving(replace(Config.for_test(address, (address,), tmp_path), bind=bind)):
        assert {host for host in ("127.0.0.1", "127.0.0.9", "::1") if await is_open(host, port)} == hosts


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


async def is_open(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def test_server_with_tokens_and_no_secret_says_once_who_needs_none(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokens, secret = tokens_file(tmp_path), write_secret(tmp_path / "secret", "s" * 32)
    for told, lines in [({}, 0), ({"cluster_secret_file": secret}, 0), ({"tokens_file": tokens}, 1)]:
        caplog.clear()
        async with serving(replace(config, **told)) as serving_:
            assert len(serving_.files) == len(told)
        assert caplog.text.count("whoever poses as a node needs no token") == lines
    caplog.clear()
    async with serving(replace(config, tokens_file=tokens, cluster_secret_file=secret)) as serving_:
        assert len(serving_.files) == 2 and caplog.text == ""


async def test_server_bad_file_is_refused_before_anything_is_touched(config: Config, tmp_path: Path) -> None:
    with pytest.raises(BadEnvironment, match="no such file"):
        async with serving(replace(config, tokens_file=tmp_path / "none")):
            pass
    assert not config.data_dir.exists()
