"""Two nodes of one shard that cannot reach each other, while clients reach both."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.cluster import Client, Reply, eventually
from tests.docker.containers import NETWORK, NODE1, NODE2, PAIR, Containers, Spot, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(90)]

ANSWER_S = 2.0
"""The contract's bound on every data request."""


async def ask(http: Client, via: Spot, method: str, key: str, body: bytes | None = None) -> Reply:
    began = time.monotonic()
    reply = await http.ask(via.published, method, f"/kvs/keys/{key}", body)
    assert time.monotonic() - began < ANSWER_S
    return reply


async def test_split_both_sides_take_writes_and_agree_after_the_heal(containers: Containers, http: Client) -> None:
    await containers.start_on_two_networks(*PAIR, view=PAIR, repl_factor=2)
    await containers.serving(*PAIR)
    await docker("network", "disconnect", NETWORK, NODE2.name)
    replies = await asyncio.gather(
        ask(http, NODE1, "PUT", "contested", b'{"value":1}'), ask(http, NODE2, "PUT", "contested", b'{"value":2}')
    )
    assert [reply.status for reply in replies] == [201, 201]
    assert [await http.key_count(spot.published) for spot in PAIR] == [1, 1]
    for spot, value in ((NODE1, 1), (NODE2, 2)):
        assert (await ask(http, spot, "GET", "contested")).json["value"] == value
        assert (await ask(http, spot, "PUT", f"of {value}".replace(" ", "%20"), b'{"value":0}')).status == 201
        assert (await ask(http, spot, "GET", "nothing")).status == 404

    await docker("network", "connect", "--ip", NODE2.ip, NETWORK, NODE2.name)
    await containers.alike(*PAIR)
    values = {(await ask(http, spot, "GET", "contested")).json["value"] for spot in PAIR}
    assert len(values) == 1 and values < {1, 2}
    assert [await http.key_count(spot.published) for spot in PAIR] == [3, 3]


async def test_split_keys_deleted_on_one_side_stay_deleted(containers: Containers, http: Client) -> None:
    await containers.start_on_two_networks(*PAIR, view=PAIR, repl_factor=2)
    content = await containers.load(*PAIR)
    await docker("network", "disconnect", NETWORK, NODE2.name)
    gone = sorted(content)[::2]
    for key in gone:
        assert (await ask(http, NODE1, "DELETE", key)).status == 200

    await docker("network", "connect", "--ip", NODE2.ip, NETWORK, NODE2.name)
    await containers.alike(*PAIR)

    async def read() -> bool:
        statuses = {key: (await http.get(NODE2.published, key)).status for key in content}
        return statuses == {key: 404 if key in gone else 200 for key in content}

    await eventually(read, "the deletions being everywhere")
