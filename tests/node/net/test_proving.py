"""Who has proven that it knows the secret, and who is turned away: by the rule, and on real links with an attacker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from gossip.view import Address, host_of, port_of
from node.cluster_secret import Secrets
from node.config import CLUSTER_DEFAULT
from node.errors import PeerRefused
from node.net.frames import Call, CallFrame, encode
from node.net.handshake import PATH, url_of
from node.net.messages import Read, ReadResult
from node.net.proof import CHALLENGE_BYTES, PROOF_BYTES
from node.net.proving import (
    CHALLENGE_HEADER,
    NOT_PROVEN,
    PROOF_HEADER,
    SECRET_HEADER,
    THEY_LACK_IT,
    WE_LACK_IT,
    Prover,
    headers_for,
)
from node.secret_files import SecretFile
from node.timing.clock import Clocks
from tests.cluster import eventually
from tests.node.net.links import FAR_PORT, Links, Secret, peers_of, secret_file
from tests.node.net.two_ends import PATIENT_S, SHORT_S, VIEW_ID
from tests.node.tokens import write_secret

ONE, OTHER, THIRD = "one" * 16, "other" * 16, "third" * 16
A, B = "a:1", "b:1"
BOTH = (ONE, ONE)


class End:
    """A prover that remembers whom it has turned away, and draws challenges that a test can tell."""

    def __init__(self, directory: Path, me: Address, secret: Secret, cluster: str = "kvs", drawn: int = 0) -> None:
        self.refused: list[tuple[Address, str]] = []
        file: SecretFile[Secrets] | None = None
        if secret is not None:
            file = secret_file(directory / f"{me}-{cluster}-{drawn}", secret)
        numbers = count(drawn)
        self.prover = Prover(
            me,
            cluster,
            file,
            lambda peer, why: self.refused.append((peer, why)),
            lambda size: next(numbers).to_bytes(size, "big"),
        )


def meet(a: End, b: End) -> tuple[bool, bool]:
    """`A` dials `B`; whether each of them is content with the other one."""
    challenge = a.prover.challenge()
    greeting = b.prover.greet(A, headers_for(challenge))
    if greeting is None:
        a.prover.refused(B, b.prover.refusal())
        return False, False
    proof = a.prover.answer(B, challenge, greeting.headers)
    if proof is None:
        return False, False
    assert greeting.await_proof == bool(proof)
    return True, greeting.is_proven(proof)


@pytest.mark.parametrize(
    ("of_a", "of_b", "meets"),
    [
        (None, None, True),
        (ONE, ONE, True),
        (f"{ONE}\n{OTHER}", ONE, True),
        (ONE, f"{ONE}\n{OTHER}", True),
        (f"{ONE}\n{OTHER}", f"{OTHER}\n{ONE}", True),
        (f"{OTHER}\n{ONE}", ONE, True),
        (ONE, f"{OTHER}\n{ONE}", False),
        (ONE, OTHER, False),
        (f"{ONE}\n{OTHER}", THIRD, False),
        (ONE, None, False),
        (None, ONE, False),
    ],
)
def test_prover_nodes_with_a_secret_in_common_meet(tmp_path: Path, of_a: Secret, of_b: Secret, meets: bool) -> None:
    """The first secret of who answers is used; all of who dials are accepted."""
    a, b = End(tmp_path, A, of_a), End(tmp_path, B, of_b, drawn=100)
    assert meet(a, b) == (meets, meets)
    assert bool(a.refused or b.refused) is not meets


@pytest.mark.parametrize(
    ("of_a", "of_b", "said_a", "said_b"),
    [
        (ONE, None, [(B, THEY_LACK_IT)], [(A, WE_LACK_IT)]),
        (None, ONE, [(B, WE_LACK_IT)], [(A, THEY_LACK_IT)]),
        (ONE, OTHER, [(B, NOT_PROVEN)], []),
    ],
)
def test_prover_says_why_it_turns_somebody_away(
    tmp_path: Path, of_a: Secret, of_b: Secret, said_a: object, said_b: object
) -> None:
    a, b = End(tmp_path, A, of_a), End(tmp_path, B, of_b, drawn=100)
    meet(a, b)
    assert (a.refused, b.refused) == (said_a, said_b)


def test_prover_without_a_secret_sends_what_it_always_did(tmp_path: Path) -> None:
    end = End(tmp_path, A, None)
    greeting = end.prover.greet(B, {})
    assert greeting is not None and not greeting.headers and not greeting.await_proof
    assert headers_for(end.prover.challenge()) == {} and end.prover.answer(B, b"", {}) == b""


def test_prover_secret_exchanged_during_a_meeting_is_that_of_its_begin(tmp_path: Path) -> None:
    a, b = End(tmp_path, A, f"{OTHER}\n{ONE}"), End(tmp_path, B, ONE, drawn=100)
    challenge = a.prover.challenge()
    greeting = b.prover.greet(A, headers_for(challenge))
    assert greeting is not None and b.prover._secret is not None
    b.prover._secret.now = (OTHER.encode(),)
    proof = a.prover.answer(B, challenge, greeting.headers)
    assert proof and greeting.is_proven(proof)
    assert meet(a, b) == (True, True)


@pytest.mark.parametrize(
    "proof", [b"", b"x", b"\0" * PROOF_BYTES, b"\0" * (PROOF_BYTES - 1), ONE.encode(), b"x" * 100_000]
)
def test_prover_frame_that_is_no_proof_is_not_believed(tmp_path: Path, proof: bytes) -> None:
    b = End(tmp_path, B, ONE)
    greeting = b.prover.greet(A, headers_for(bytes(CHALLENGE_BYTES)))
    assert greeting is not None and not greeting.is_proven(proof)
    assert b.refused == [(A, NOT_PROVEN)]


@pytest.mark.parametrize(
    "challenge", ["", "00", "00" * (CHALLENGE_BYTES - 1), "00" * (CHALLENGE_BYTES + 1), "zz" * CHALLENGE_BYTES, "é"]
)
def test_prover_challenge_that_is_none_is_as_good_as_none(tmp_path: Path, challenge: str) -> None:
    b = End(tmp_path, B, ONE)
    assert b.prover.greet(A, {CHALLENGE_HEADER: challenge}) is None
    assert b.refused == [(A, THEY_LACK_IT)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: told | {PROOF_HEADER: ""},
        lambda told: told | {PROOF_HEADER: "zz"},
        lambda told: told | {PROOF_HEADER: "00" * PROOF_BYTES},
        lambda told: told | {CHALLENGE_HEADER: "00" * CHALLENGE_BYTES},
        lambda told: {PROOF_HEADER: told[PROOF_HEADER]},
        lambda told: {CHALLENGE_HEADER: told[CHALLENGE_HEADER]},
    ],
)
def test_prover_answer_that_was_tampered_with_is_not_believed(
    tmp_path: Path, spoil: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    a, b = End(tmp_path, A, ONE), End(tmp_path, B, ONE, drawn=100)
    challenge = a.prover.challenge()
    greeting = b.prover.greet(A, headers_for(challenge))
    assert greeting is not None
    assert a.prover.answer(B, challenge, spoil(dict(greeting.headers))) is None


def test_prover_answers_are_of_no_use_but_where_they_were_given(tmp_path: Path) -> None:
    """Played again, shown to another node, told of another cluster, or to who has given them."""
    a, b = End(tmp_path, A, ONE), End(tmp_path, B, ONE, drawn=100)
    challenge = a.prover.challenge()
    greeting = b.prover.greet(A, headers_for(challenge))
    assert greeting is not None
    recorded = a.prover.answer(B, challenge, greeting.headers)
    assert recorded and greeting.is_proven(recorded)

    again = b.prover.greet(A, headers_for(challenge))
    assert again is not None and not again.is_proven(recorded), "the dialler's, played again"
    assert a.prover.answer(B, a.prover.challenge(), greeting.headers) is None, "the answerer's, played again"
    as_c = b.prover.greet("c:1", headers_for(challenge))
    assert as_c is not None and not as_c.is_proven(recorded), "the dialler's, for another node's"
    assert a.prover.answer("c:1", challenge, greeting.headers) is None, "the answerer's, for another node's"
    elsewhere = End(tmp_path, A, ONE, cluster="theirs")
    assert elsewhere.prover.answer(B, challenge, greeting.headers) is None, "under another cluster's name"

    mine = a.prover.challenge()
    reflected = a.prover.greet(B, headers_for(mine))
    assert reflected is not None
    assert a.prover.answer(B, mine, reflected.headers) is None, "its own answer, reflected"
    own = a.prover.greet(A, headers_for(mine))
    assert own is not None
    assert not own.is_proven(bytes.fromhex(own.headers[PROOF_HEADER])), "its own proof, as the other side's"


told = st.dictionaries(
    st.sampled_from([CHALLENGE_HEADER, PROOF_HEADER]), st.text() | st.from_regex(r"\A[0-9a-f]{62,66}\Z")
)


@given(told)
def test_prover_whatever_headers_say_nobody_is_believed_by_them(
    tmp_path_factory: pytest.TempPathFactory, headers: dict[str, str]
) -> None:
    end = End(tmp_path_factory.getbasetemp(), A, ONE)
    assert end.prover.answer(B, end.prover.challenge(), headers) is None
    greeting = end.prover.greet(B, headers)
    assert greeting is None or greeting.await_proof


def test_prover_challenges_are_drawn_anew_each_time(tmp_path: Path) -> None:
    prover = Prover(A, "kvs", secret_file(tmp_path / "s", ONE), lambda peer, why: None)
    drawn = [prover.challenge() for _ in range(4)]
    greetings = [prover.greet(B, headers_for(drawn[0])) for _ in range(4)]
    drawn += [bytes.fromhex(each.headers[CHALLENGE_HEADER]) for each in greetings if each is not None]
    assert len(set(drawn)) == 8 and {len(challenge) for challenge in drawn} == {CHALLENGE_BYTES}


# Over real links


@pytest.fixture
def secrets() -> tuple[Secret, Secret]:
    return BOTH


@pytest.fixture
async def links(
    tmp_path: Path, secrets: tuple[Secret, Secret], caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Links]:
    caplog.set_level(logging.INFO, "node.net.handshake")
    links = Links(tmp_path, secrets=secrets, proof_s=0.2)
    await links.open()
    yield links
    await links.close()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return sorted(record.getMessage() for record in caplog.records if record.name == "node.net.handshake")


async def test_links_with_one_secret_carry_calls_both_ways(links: Links, caplog: pytest.LogCaptureFixture) -> None:
    for one, other in [(links.a, links.b), (links.b, links.a)]:
        assert await one.ask(other, b"k") == ReadResult(b"k")
    assert said(caplog) == []


@pytest.mark.parametrize(
    ("secrets", "of_a", "of_b"),
    [
        ((ONE, OTHER), NOT_PROVEN, NOT_PROVEN),
        ((ONE, None), THEY_LACK_IT, WE_LACK_IT),
        ((None, ONE), WE_LACK_IT, THEY_LACK_IT),
    ],
)
async def test_links_without_a_secret_in_common_carry_nothing_and_are_one_line_a_peer(
    links: Links, caplog: pytest.LogCaptureFixture, of_a: str, of_b: str
) -> None:
    for one, other in [(links.a, links.b), (links.b, links.a)] * 3:
        with pytest.raises(PeerRefused):
            await one.ask(other, b"k", SHORT_S)
        assert one.transport.is_down(other.address) and not one.transport.is_stranger(other.address)
    await asyncio.sleep(5 * peers_of(links.a)._config.redial_s)
    assert not links.a.handler.calls and not links.b.handler.calls
    lines = {f"{links.b.address} is turned away: {of_a}", f"{links.a.address} is turned away: {of_b}"}
    assert said(caplog) == sorted(lines)


@pytest.mark.parametrize(
    ("secrets", "of_a", "of_b"),
    [
        ((ONE, OTHER), NOT_PROVEN, NOT_PROVEN),
        ((ONE, None), THEY_LACK_IT, WE_LACK_IT),
        ((None, ONE), WE_LACK_IT, THEY_LACK_IT),
    ],
)
async def test_links_of_which_one_alone_dials_are_told_of_by_both(
    links: Links, caplog: pytest.LogCaptureFixture, of_a: str, of_b: str
) -> None:
    with pytest.raises(PeerRefused):
        await links.a.ask(links.b, b"k", SHORT_S)

    async def both_have_said_so() -> bool:
        return len(said(caplog)) == 2

    await eventually(both_have_said_so, "a line of each")
    lines = {f"{links.b.address} is turned away: {of_a}", f"{links.a.address} is turned away: {of_b}"}
    assert said(caplog) == sorted(lines)


@pytest.mark.parametrize("secrets", [(ONE, OTHER)])
async def test_links_come_up_once_the_secret_is_right(links: Links, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(PeerRefused):
        await links.a.ask(links.b, b"k", SHORT_S)
    await links.replace_b(CLUSTER_DEFAULT, ONE)
    await links.a.ask_until_answered(links.b, b"k")
    assert f"{links.b.address}: turned away no more; before: {NOT_PROVEN}" in said(caplog)


async def test_links_secret_is_exchanged_without_an_unanswered_call(links: Links, tmp_path: Path) -> None:
    """In three steps, on one node after the other, with all links made anew after each."""
    files = [peers_of(each)._prover._secret for each in (links.a, links.b)]
    for text in (f"{ONE}\n{OTHER}", f"{OTHER}\n{ONE}", OTHER):
        for file in files:
            assert file is not None
            write_secret(file.path, text)
            await file.renew()
            for one, other in [(links.a, links.b), (links.b, links.a)]:
                peers_of(one).reset()
                assert await one.ask_until_answered(other, b"k") == ReadResult(b"k")
                assert not one.transport.is_down(other.address)


CALL = encode(CallFrame(Clocks(0, 0), (Call(1, VIEW_ID, 1000, Read(b"stolen")),), ()))


async def dialled(links: Links, headers: dict[str, str], frames: list[bytes]) -> list[bytes]:
    """What B sends to a stranger that calls itself A, after these frames."""
    url = url_of(links.b.address, links.a.address, CLUSTER_DEFAULT)
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers) as socket:
        for frame in frames:
            await socket.send_bytes(frame)
        async with asyncio.timeout(PATIENT_S):
            return [message.data async for message in socket if message.type is aiohttp.WSMsgType.BINARY]


CHALLENGE = {CHALLENGE_HEADER: "00" * CHALLENGE_BYTES}


@pytest.mark.parametrize("frames", [[], [CALL], [b"\0" * PROOF_BYTES, CALL], [b"", CALL], [ONE.encode(), CALL]])
async def test_stranger_without_a_proof_is_not_heard(links: Links, frames: list[bytes]) -> None:
    assert await dialled(links, CHALLENGE, frames) == []
    assert not links.b.handler.calls


async def test_node_that_was_not_believed_is_told_and_says_so(links: Links, caplog: pytest.LogCaptureFixture) -> None:
    url = url_of(links.b.address, links.a.address, CLUSTER_DEFAULT)
    async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=CHALLENGE) as socket:
        await socket.close(code=aiohttp.WSCloseCode.POLICY_VIOLATION)

    async def has_said_so() -> bool:
        return said(caplog) == [f"{links.a.address} is turned away: {NOT_PROVEN}"]

    await eventually(has_said_so, "a line that says so")


async def test_stranger_without_a_challenge_gets_no_link_and_is_told_why(links: Links) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await dialled(links, {}, [CALL])
    assert caught.value.status == 403 and caught.value.headers is not None
    assert caught.value.headers[SECRET_HEADER] == "yes"
    assert PROOF_HEADER not in caught.value.headers


async def test_stranger_does_not_make_a_node_dial(links: Links) -> None:
    """Or whoever calls itself a node could have it asked at once, again and again."""
    dialled_anew: list[Address] = []
    peers_of(links.b).acceptor._note_dialled = dialled_anew.append
    await dialled(links, CHALLENGE, [CALL])
    assert dialled_anew == []
    await links.a.ask(links.b, b"k")
    assert dialled_anew == [links.a.address]


class Tap:
    """Sits where B is reached, passes on what comes, and keeps it."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self.heard = b""
        """From who dials."""

    async def open(self) -> None:
        await self._links.kill(self._links.b)
        b = self._links.b.address
        self._server = await asyncio.start_server(self._serve, host_of(b), port_of(b))

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host_of(self._links.b.address), FAR_PORT)

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, keep: bool) -> None:
            while data := await source.read(65536):
                self.heard += data if keep else b""
                target.write(data)
            target.close()

        await asyncio.gather(pass_on(reader, far_writer, True), pass_on(far_reader, writer, False))


async def test_attacker_that_plays_a_recorded_link_again_is_not_heard(links: Links) -> None:
    tap = Tap(links)
    await tap.open()
    await links.a.ask_until_answered(links.b, b"once")
    await peers_of(links.a).close()
    await tap.close()
    await links.revive(links.b)
    keys = list(links.b.handler.keys)
    assert b"once" in keys and b"Upgrade" in tap.heard
    reader, writer = await asyncio.open_connection(host_of(links.b.address), FAR_PORT)
    writer.write(tap.heard)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), "it was greeted, as who it says it is"
    async with asyncio.timeout(PATIENT_S):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    writer.close()
    assert links.b.handler.keys == keys


class Imposter:
    """A stranger at the address of B, that lets in whoever dials, with the headers that `answer` gives."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self.heard: list[bytes] = []
        self.dialled = 0

    async def open(self) -> None:
        await self._links.kill(self._links.b)
        app = web.Application()
        app.router.add_get(PATH, self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        b = self._links.b.address
        await web.TCPSite(self._runner, host_of(b), port_of(b)).start()

    async def close(self) -> None:
        await self._runner.cleanup()
        await self._links.revive(self._links.b)

    async def answer(self, request: web.Request) -> dict[str, str]:
        return {}

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        socket.headers.update(await self.answer(request))
        await socket.prepare(request)
        self.dialled += 1
        self.heard.extend([message.data async for message in socket])
        return socket

    async def gets_nothing(self) -> None:
        """A asks B, and finds it down."""
        with pytest.raises(PeerRefused):
            await self._links.a.ask(self._links.b, b"k", SHORT_S)

        async def was_dialled() -> bool:
            return self.dialled > 0

        await eventually(was_dialled, "the stranger being dialled")
        assert self._links.a.transport.is_down(self._links.b.address) and self.heard == []


async def test_older_release_that_lets_in_everybody_is_turned_away(
    links: Links, caplog: pytest.LogCaptureFixture
) -> None:
    imposter = Imposter(links)
    await imposter.open()
    await imposter.gets_nothing()
    await imposter.close()
    assert said(caplog) == [f"{links.b.address} is turned away: {THEY_LACK_IT}"]


class Replaying(Imposter):
    """With what B has answered to another challenge."""

    async def answer(self, request: web.Request) -> dict[str, str]:
        return self.recorded

    async def record(self) -> None:
        url = url_of(self._links.b.address, self._links.a.address, CLUSTER_DEFAULT)
        async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=CHALLENGE) as socket:
            headers = socket._response.headers
            self.recorded = {name: headers[name] for name in (CHALLENGE_HEADER, PROOF_HEADER)}


class Reflecting(Imposter):
    """With what A itself answers, dialled by one that calls itself B, to the challenge that A has just sent."""

    async def answer(self, request: web.Request) -> dict[str, str]:
        url = url_of(self._links.a.address, self._links.b.address, CLUSTER_DEFAULT)
        sent = {CHALLENGE_HEADER: request.headers[CHALLENGE_HEADER]}
        async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=sent) as socket:
            headers = socket._response.headers
            return {name: headers[name] for name in (CHALLENGE_HEADER, PROOF_HEADER)}


async def test_attacker_that_answers_with_a_recorded_proof_is_turned_away(links: Links) -> None:
    imposter = Replaying(links)
    await imposter.record()
    await imposter.open()
    await imposter.gets_nothing()
    await imposter.close()


async def test_attacker_that_reflects_a_challenge_is_turned_away(links: Links) -> None:
    imposter = Reflecting(links)
    await imposter.open()
    await imposter.gets_nothing()
    await imposter.close()
