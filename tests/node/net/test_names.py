"""What names lead to: a look-up that never ends holds up nobody, and decides nothing."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from node.net.names import Found, Names, begin, faults_of, look_up
from tests.cluster import eventually
from tests.node.net.fake_lookup import FakeLookup

A, B, C = "10.0.0.1", "10.0.0.2", "fd00::3"
SILENT = [f"silent{number}" for number in range(100)]
"""More than any pool of threads has."""
SLOW_S = 0.05


@pytest.fixture
def lookup() -> Iterator[FakeLookup]:
    fake = FakeLookup()
    yield fake
    fake.close()


async def dial(names: Names, host: str, port: int = 1) -> list[str]:
    return [result["host"] for result in await names.resolve(host, port)]


async def ended(names: Names, host: str) -> None:
    """Wait until its look-up has come to an end."""

    async def is_over() -> bool:
        return host not in names._under_way

    await eventually(is_over, f"the end of the look-up of {host}")


async def begun(lookup: FakeLookup, host: str, times: int = 1) -> None:
    async def is_asked() -> bool:
        return lookup.asked[host] == times

    await eventually(is_asked, f"look-up {times} of {host}")


async def found(names: Names, lookup: FakeLookup, host: str, *addresses: str) -> None:
    """The peer of this name was found at the first of these addresses, to all of which the name leads."""
    lookup.answers[host] = addresses
    await dial(names, host)
    names.found_at(f"{host}:1", addresses[0])
    await ended(names, host)


async def test_names_silent_ones_hold_up_no_other(lookup: FakeLookup) -> None:
    lookup.silence(*SILENT)
    lookup.answers["n"] = (A,)
    names = Names(SLOW_S, lookup)
    waiting = [asyncio.create_task(dial(names, host)) for host in SILENT]
    for host in SILENT:
        await begun(lookup, host)
    assert await dial(names, "n") == [A]
    for host in SILENT:
        lookup.answers[host] = (B,)
        lookup.speak(host)
    assert await asyncio.gather(*waiting) == [[B]] * len(SILENT)


async def test_names_one_lookup_at_a_time_however_often_it_was_given_up(lookup: FakeLookup) -> None:
    lookup.silence("n")
    names = Names(SLOW_S, lookup)
    for number in range(10):
        given_up = asyncio.create_task(dial(names, "n", number))
        await begun(lookup, "n")
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
    waiting = asyncio.create_task(dial(names, "n"))
    await asyncio.sleep(0)
    lookup.answers["n"] = (A,)
    lookup.speak("n")
    assert await waiting == [A]
    assert lookup.asked["n"] == lookup.most_under_way == 1


async def test_names_answer_that_comes_after_its_dial_serves_the_next(lookup: FakeLookup) -> None:
    """Else a name server that is slower than a dial lasts would never be heard."""
    lookup.silence("n")
    names = Names(SLOW_S, lookup)
    given_up = asyncio.create_task(dial(names, "n"))
    await begun(lookup, "n")
    given_up.cancel()
    await asyncio.wait([given_up])
    lookup.answers["n"] = (A,)
    lookup.speak("n")
    await ended(names, "n")
    lookup.silence("n")
    assert await dial(names, "n") == [A]


async def test_names_last_good_address_is_dialled_while_a_lookup_is_silent(lookup: FakeLookup) -> None:
    names = Names(SLOW_S, lookup)
    await found(names, lookup, "n", A)
    lookup.silence("n")
    for _ in range(5):
        assert await dial(names, "n") == [A]
    await begun(lookup, "n", 2)


async def test_names_last_good_address_is_dialled_though_the_name_is_gone(lookup: FakeLookup) -> None:
    names = Names(SLOW_S, lookup)
    await found(names, lookup, "n", A)
    lookup.answers["n"] = OSError("no such name")
    for _ in range(5):
        assert await dial(names, "n") == [A]
        await ended(names, "n")


async def test_names_changed_address_is_dialled_once_the_last_good_one_has_failed(lookup: FakeLookup) -> None:
    names = Names(SLOW_S, lookup)
    await found(names, lookup, "n", A)
    lookup.answers["n"] = (B, C)
    assert await dial(names, "n") == [A], "where it was found last comes first"
    await ended(names, "n")
    assert await dial(names, "n") == [B, C]
    names.found_at("n:1", C)
    await ended(names, "n")
    assert await dial(names, "n") == [C, B]


async def test_names_what_was_answered_before_the_last_good_address_failed_does_not_decide(lookup: FakeLookup) -> None:
    names = Names(SLOW_S, lookup)
    await found(names, lookup, "n", A)
    lookup.answers["n"] = (B,)
    await dial(names, "n")
    names.found_at("n:1", A)
    await ended(names, "n")
    lookup.silence("n")
    assert [await dial(names, "n") for _ in range(3)] == [[A]] * 3


async def test_names_addresses_take_turns_until_the_peer_is_found(lookup: FakeLookup) -> None:
    """At the first one, somebody else may answer each time."""
    lookup.answers["n"] = (A, B, C)
    names = Names(SLOW_S, lookup)
    turns = []
    for _ in range(4):
        turns.append(await dial(names, "n"))
        await ended(names, "n")
    assert turns == [[A, B, C], [B, C, A], [C, A, B], [A, B, C]]
    names.found_at("n:1", B)
    assert await dial(names, "n") == [B, A, C]


async def test_names_peer_that_was_not_found_is_sought_first_and_once_where_it_dialled_from(lookup: FakeLookup) -> None:
    names = Names(SLOW_S, lookup)
    await found(names, lookup, "n", A)
    names.dialled_from("n:1", B)
    assert await dial(names, "n") == [A], "where it was found last comes first"
    await ended(names, "n")
    assert await dial(names, "n") == [B, A]
    await ended(names, "n")
    assert await dial(names, "n") == [A], "it was not there: the look-up decides"


async def test_names_where_a_peer_dialled_from_counts_while_a_lookup_is_silent(lookup: FakeLookup) -> None:
    names = Names(SLOW_S, lookup)
    await found(names, lookup, "n", A)
    lookup.silence("n")
    await dial(names, "n")
    names.dialled_from("n:1", B)
    assert [await dial(names, "n") for _ in range(3)] == [[B, A], [A], [A]], "it was not there"
    names.dialled_from("n:1", C)
    assert await dial(names, "n") == [C, A] and names.is_guess("n:1")
    names.found_at("n:1", C)
    assert await dial(names, "n") == [C, A] and not names.is_guess("n:1")


async def test_names_where_a_peer_dialled_from_before_it_was_found_does_not_count(lookup: FakeLookup) -> None:
    names = Names(SLOW_S, lookup)
    await found(names, lookup, "n", A)
    await dial(names, "n")
    names.dialled_from("n:1", B)
    names.found_at("n:1", A)
    await ended(names, "n")
    assert [await dial(names, "n") for _ in range(2)] == [[A]] * 2


async def test_names_where_somebody_dials_from_whom_nobody_wants_is_not_kept(lookup: FakeLookup) -> None:
    names = Names(SLOW_S, lookup)
    names.dialled_from("n:1", B)
    lookup.answers["n"] = (A,)
    assert await dial(names, "n") == [A]


async def test_names_peers_of_one_host_are_looked_up_together_and_found_apart(lookup: FakeLookup) -> None:
    lookup.answers["n"] = (A, B)
    lookup.silence("n")
    names = Names(SLOW_S, lookup)
    dials = [asyncio.create_task(dial(names, "n", port)) for port in (1, 2)]
    await begun(lookup, "n")
    lookup.speak("n")
    assert await asyncio.gather(*dials) == [[A, B]] * 2
    names.found_at("n:2", B)
    assert lookup.asked["n"] == 1
    assert await dial(names, "n", 2) == [B, A]


@pytest.mark.parametrize("answer", [OSError("no such name"), UnicodeError("too long"), ()])
async def test_names_without_an_address_raise_oserror(lookup: FakeLookup, answer: tuple[str, ...] | Exception) -> None:
    lookup.answers["n"] = answer
    names = Names(SLOW_S, lookup)
    for _ in range(2):
        with pytest.raises(OSError):
            await dial(names, "n")
    assert lookup.asked["n"] == 2


async def test_names_no_thread_left_is_an_oserror(lookup: FakeLookup, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    lookup.answers["n"] = (A,)
    names = Names(SLOW_S, lookup)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(OSError, match="new thread"):
            await dial(names, "n")
    assert await dial(names, "n") == [A]


async def test_names_that_nobody_wants_are_forgotten(lookup: FakeLookup) -> None:
    names = Names(SLOW_S, lookup)
    await found(names, lookup, "n", A)
    names.forget("n:1")
    lookup.answers["n"] = (B,)
    assert await dial(names, "n") == [B]


def test_names_end_without_waiting_for_a_silent_one(lookup: FakeLookup, caplog: pytest.LogCaptureFixture) -> None:
    async def live() -> None:
        names = Names(SLOW_S, lookup)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(dial(names, "n"), 0.01)
        await names.close()

    lookup.silence("n")
    asyncio.run(live())
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "look-up of n"]
    assert thread.daemon, "the end of the process does not wait for it"
    lookup.speak("n")
    thread.join()
    assert not caplog.records


async def test_names_a_slow_one_is_reported_once_and_when_it_is_over(
    lookup: FakeLookup, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "node.net.names")
    names = Names(SLOW_S, lookup)
    await found(names, lookup, "n", A)
    lookup.silence("n")

    async def reported() -> bool:
        await dial(names, "n")
        return bool(caplog.records)

    await eventually(reported, "a report")
    await dial(names, "n")
    lookup.speak("n")
    await ended(names, "n")
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in lines] == ["WARNING", "INFO"]
    assert all(line.startswith("n: ") for _, line in lines)


async def test_names_results_are_what_aiohttp_dials_without_another_lookup(lookup: FakeLookup) -> None:
    lookup.answers["n"] = (A, C)
    four, six = await Names(SLOW_S, lookup).resolve("n", 7)
    assert (four["hostname"], four["host"], four["port"], four["family"]) == ("n", A, 7, socket.AF_INET)
    assert (six["hostname"], six["host"], six["port"], six["family"]) == ("n", C, 7, socket.AF_INET6)


def test_look_up_of_an_ip_needs_no_resolver() -> None:
    assert look_up("127.0.0.9") == ("127.0.0.9",) and look_up("::1") == ("::1",)


def test_look_up_of_a_name_tells_each_address_once() -> None:
    addresses = look_up("localhost")
    assert {"127.0.0.1", "::1"} & set(addresses) and len(set(addresses)) == len(addresses)


def test_begin_tells_what_the_system_says() -> None:
    told: list[Found] = []
    is_told = threading.Event()

    def tell(what: Found) -> None:
        told.append(what)
        is_told.set()

    begin(look_up, "x" * 300, tell)
    assert is_told.wait(20) and isinstance(told[0], OSError), "a name that is too long is no name"


async def test_names_that_lead_nowhere_are_told_with_why_and_ips_are_not_looked_up(lookup: FakeLookup) -> None:
    lookup.answers["here"] = (A,)
    lookup.silence("silent")
    faults = await faults_of(["here", "gone", "silent", A, f"[{C}]"], SLOW_S, lookup)
    assert faults == {"gone": "no such name", "silent": "no answer in 0.05 s"}
    assert lookup.asked.keys() == {"here", "gone", "silent"}
