"""A node whose disk is empty, or has keys of some only: until when it may lack something."""

from __future__ import annotations

import asyncio

from node.replication.emptied_disk import Filling
from node.replication.peer_state import LeaseAnswer
from tests.node.parts import A, B, C, node_a, on_virtual_time, record
from tests.node.replication.co_owner_answers import answered, state_of


@on_virtual_time
async def test_filling_from_empty_to_full() -> None:
    parts = await node_a(A, B, repl_factor=2, is_filled=False)
    assert (parts.co_owners.filling, parts.co_owners.may_lack()) == (Filling.EMPTY, True)
    await parts.keep((b"k", record(3)))
    assert (parts.co_owners.filling, parts.co_owners.may_lack()) == (Filling.PARTIAL, True)
    assert answered(parts, B, LeaseAnswer.GRANTED)
    assert (parts.co_owners.filling, parts.co_owners.may_lack()) == (Filling.FULL, False)
    assert not answered(parts, B, LeaseAnswer.GRANTED), "it is filled once"


@on_virtual_time
async def test_filling_takes_one_that_lacks_nothing_or_all() -> None:
    parts = await node_a(A, B, C, repl_factor=3, is_filled=False)
    assert not answered(parts, B, LeaseAnswer.REFUSED)
    assert not answered(parts, B, LeaseAnswer.GRANTED, may_lack=True)
    assert answered(parts, C, LeaseAnswer.GRANTED, may_lack=True)


@on_virtual_time
async def test_filling_where_all_are_empty_the_store_is_new_and_that_is_to_be_remembered() -> None:
    """Until there is a key, the others hear that this disk is empty, and find so too."""
    parts = await node_a(A, B, C, repl_factor=3, is_filled=False)
    assert not answered(parts, B, LeaseAnswer.REFUSED, is_empty=True)
    assert parts.co_owners.is_waiting_to_be_filled() and parts.co_owners.may_lack()
    assert answered(parts, C, LeaseAnswer.REFUSED, is_empty=True)
    assert not parts.co_owners.is_waiting_to_be_filled() and not parts.co_owners.may_lack()
    assert (parts.co_owners.filling, parts.co_owners.is_empty) == (Filling.FULL, True)
    assert not answered(parts, C, LeaseAnswer.REFUSED, is_empty=True), "it is new once"
    await parts.keep((b"k", record(3)))
    assert (parts.co_owners.filling, parts.co_owners.is_empty) == (Filling.FULL, False)


@on_virtual_time
async def test_filling_new_store_that_is_found_by_a_question_is_remembered_with_the_next_answer() -> None:
    parts = await node_a(A, B, repl_factor=2, is_filled=False)
    parts.co_owners.hear_question(state_of(parts, B), 2, True)
    assert not parts.co_owners.may_lack()
    assert answered(parts, B, LeaseAnswer.REFUSED, is_empty=True)


@on_virtual_time
async def test_filling_disk_with_keys_beside_empty_ones_may_lack_some_all_the_same() -> None:
    """Nobody has anything to bring. It waits for nothing, and is not filled."""
    parts = await node_a(A, B, repl_factor=2, is_filled=False)
    await parts.keep((b"k", record(3)))
    assert not answered(parts, B, LeaseAnswer.REFUSED, is_empty=True)
    assert not parts.co_owners.is_waiting_to_be_filled() and parts.co_owners.filling is Filling.PARTIAL


@on_virtual_time
async def test_filling_is_waited_for_however_long_but_only_with_co_owners() -> None:
    parts, alone = await node_a(A, B, repl_factor=2, is_filled=False), await node_a(A, is_filled=False)
    assert parts.co_owners.is_waiting_to_be_filled() and not alone.co_owners.is_waiting_to_be_filled()
    await asyncio.sleep(3600.0)
    assert parts.co_owners.is_waiting_to_be_filled()


@on_virtual_time
async def test_filling_where_some_are_empty_too_the_others_are_waited_for_only_so_long() -> None:
    parts = await node_a(A, B, C, repl_factor=3, is_filled=False)
    answered(parts, B, LeaseAnswer.REFUSED, is_empty=True)
    await asyncio.sleep(parts.config.empty_wait_s - 0.1)
    answered(parts, B, LeaseAnswer.REFUSED, is_empty=True)
    assert parts.co_owners.is_waiting_to_be_filled()
    await asyncio.sleep(0.1)
    assert not parts.co_owners.is_waiting_to_be_filled()
