"""Two nodes of one shard that cannot reach each other, while clients reach both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import pytest

from gossip.view import Address
from tests.cluster import Client, Reply, Session, eventually
from tests.docker.containers import NETWORK, NODE1, NODE2, PAIR, Containers, docker

pytestmark = [pytest.mark.docker, pytest.mark.timeout(90)]

ANSWER_S = 2.0
"""The contract's bound on every data request."""


class Punctual(Client):
    """A client to whom a late answer is none."""

    def __init__(self, http: Client) -> None:
        self._http = http
        self.way = http.way

    async def ask(
        self, node: Address, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        began = time.monotonic()
        reply = await self._http.ask(node, method, path, body, headers)
        assert time.monotonic() - began < ANSWER_S
        return reply


async def test_split_both_sides_take_writes_and_agree_after_the_heal(containers: Containers, http: Client) -> None:
    await containers.start_on_two_networks(*PAIR, view=PAIR, repl_factor=2)
    await containers.serving(*PAIR)
    await docker("network", "disconnect", NETWORK, NODE2.name)
    punctual = Punctual(http)
    sides = tuple(zip(PAIR, (1, 2), strict=True))
    replies = await asyncio.gather(*(punctual.put(spot.published, "contested", value) for spot, value in sides))
    assert [reply.status for reply in replies] == [201, 201]
    assert [await punctual.key_count(spot.published) for spot in PAIR] == [1, 1]
    for spot, value in sides:
        assert (await punctual.get(spot.published, "contested")).json["value"] == value
        assert (await punctual.put(spot.published, f"of%20{value}", 0)).status == 201
        assert (await punctual.get(spot.published, "nothing")).status == 404

    await docker("network", "connect", "--ip", NODE2.ip, NETWORK, NODE2.name)
    await containers.alike(*PAIR)
    values = {(await punctual.get(spot.published, "contested")).json["value"] for spot in PAIR}
    assert len(values) == 1 and values < {1, 2}
    assert [await http.key_count(spot.published) for spot in PAIR] == [3, 3]


async def test_split_keys_deleted_on_one_side_stay_deleted(containers: Containers, http: Client) -> None:
    await containers.start_on_two_networks(*PAIR, view=PAIR, repl_factor=2)
    content = await containers.load(*PAIR)
    await docker("network", "disconnect", NETWORK, NODE2.name)
    gone = sorted(content)[::2]
    for key in gone:
        assert (await Punctual(http).ask(NODE1.published, "DELETE", f"/kvs/keys/{key}")).status == 200

    await docker("network", "connect", "--ip", NODE2.ip, NETWORK, NODE2.name)
    await containers.alike(*PAIR)

    async def read() -> bool:
        statuses = {key: (await http.get(NODE2.published, key)).status for key in content}
        return statuses == {key: 404 if key in gone else 200 for key in content}

    await eventually(read, "the deletions being everywhere")


async def test_split_nobody_reads_the_question_as_it_was_before_the_answer(
    containers: Containers, http: Client
) -> None:
    """A context carries across the cut what its holder has seen; who has none is shown what there is."""
    await containers.start_on_two_networks(*PAIR, view=PAIR, repl_factor=2)
    await containers.serving(*PAIR)
    one, two = (spot.published for spot in PAIR)
    punctual = Punctual(http)
    asker, answerer, reader, stranger = (Session(punctual) for _ in range(4))
    assert (await asker.put(one, "a", "before")).status == 201
    assert (await asker.put(two, "c", "aside")).status == 201
    await docker("network", "disconnect", NETWORK, NODE2.name)

    assert (await asker.put(one, "a", "question")).status == 200
    assert (await answerer.get(one, "a")).json["value"] == "question"
    assert (await answerer.put(two, "b", "answer")).status == 201
    assert (await reader.get(two, "b")).json["value"] == "answer"
    for method in ("GET", "DELETE"):
        refused = await reader.ask(two, method, "a")
        assert refused.status == 400
        assert refused.json == {
            "error": "Unable to satisfy request",
            "message": f"Error in {method}",
            "causal-context": reader.context,
        }
        assert reader.context
    assert (await reader.get(two, "c")).json["value"] == "aside"
    assert (await stranger.get(two, "a")).json["value"] == "before"
    assert (await asker.put(two, "a", "question, again")).status == 200
    assert (await reader.get(two, "a")).json["value"] == "question, again"

    await docker("network", "connect", "--ip", NODE2.ip, NETWORK, NODE2.name)
    await containers.alike(*PAIR)
    for node in (one, two):
        assert (await stranger.get(node, "a")).json["value"] == "question, again"

    async def contexts_are_gone() -> bool:
        for session in (asker, answerer, reader, stranger):
            await session.get(one, "c")
        return not (asker.context or answerer.context or reader.context or stranger.context)

    await eventually(contexts_are_gone, "empty contexts")
