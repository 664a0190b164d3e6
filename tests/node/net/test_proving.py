"""Who has proven that it knows the secret, and who is turned away: by the rule."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.view import Address
from node.cluster_secret import Secrets
from node.net.proof import CHALLENGE_BYTES, PROOF_BYTES
from node.net.proving import (
    CHALLENGE_HEADER,
    NOT_PROVEN,
    PROOF_HEADER,
    THEY_LACK_IT,
    WE_LACK_IT,
    Prover,
    headers_for,
)
from node.secret_files import SecretFile
from tests.node.net.links import Secret, secret_file
from tests.node.net.strangers import ONE, OTHER, THIRD, A, B

PROTOCOL = 2


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
    greeting = b.prover.greet(A, headers_for(challenge), PROTOCOL)
    if greeting is None:
        a.prover.refused(B, b.prover.refusal())
        return False, False
    proof = a.prover.answer(B, challenge, greeting.headers, PROTOCOL)
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
    greeting = end.prover.greet(B, {}, PROTOCOL)
    assert greeting is not None and not greeting.headers and not greeting.await_proof
    assert headers_for(end.prover.challenge()) == {} and end.prover.answer(B, b"", {}, PROTOCOL) == b""


def test_prover_secret_exchanged_during_a_meeting_is_that_of_its_begin(tmp_path: Path) -> None:
    a, b = End(tmp_path, A, f"{OTHER}\n{ONE}"), End(tmp_path, B, ONE, drawn=100)
    challenge = a.prover.challenge()
    greeting = b.prover.greet(A, headers_for(challenge), PROTOCOL)
    assert greeting is not None and b.prover._secret is not None
    b.prover._secret.now = (OTHER.encode(),)
    proof = a.prover.answer(B, challenge, greeting.headers, PROTOCOL)
    assert proof and greeting.is_proven(proof)
    assert meet(a, b) == (True, True)


@pytest.mark.parametrize(
    "proof", [b"", b"x", b"\0" * PROOF_BYTES, b"\0" * (PROOF_BYTES - 1), ONE.encode(), b"x" * 100_000]
)
def test_prover_frame_that_is_no_proof_is_not_believed(tmp_path: Path, proof: bytes) -> None:
    b = End(tmp_path, B, ONE)
    greeting = b.prover.greet(A, headers_for(bytes(CHALLENGE_BYTES)), PROTOCOL)
    assert greeting is not None and not greeting.is_proven(proof)
    assert b.refused == [(A, NOT_PROVEN)]


@pytest.mark.parametrize(
    "challenge", ["", "00", "00" * (CHALLENGE_BYTES - 1), "00" * (CHALLENGE_BYTES + 1), "zz" * CHALLENGE_BYTES, "é"]
)
def test_prover_challenge_that_is_none_is_as_good_as_none(tmp_path: Path, challenge: str) -> None:
    b = End(tmp_path, B, ONE)
    assert b.prover.greet(A, {CHALLENGE_HEADER: challenge}, PROTOCOL) is None
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
    greeting = b.prover.greet(A, headers_for(challenge), PROTOCOL)
    assert greeting is not None
    assert a.prover.answer(B, challenge, spoil(dict(greeting.headers)), PROTOCOL) is None


def test_prover_answers_are_of_no_use_but_where_they_were_given(tmp_path: Path) -> None:
    """Played again, shown to another node, told of another cluster, or to who has given them."""
    a, b = End(tmp_path, A, ONE), End(tmp_path, B, ONE, drawn=100)
    challenge = a.prover.challenge()
    greeting = b.prover.greet(A, headers_for(challenge), PROTOCOL)
    assert greeting is not None
    recorded = a.prover.answer(B, challenge, greeting.headers, PROTOCOL)
    assert recorded and greeting.is_proven(recorded)

    again = b.prover.greet(A, headers_for(challenge), PROTOCOL)
    assert again is not None and not again.is_proven(recorded), "the dialler's, played again"
    assert a.prover.answer(B, a.prover.challenge(), greeting.headers, PROTOCOL) is None, "the answerer's, played again"
    as_c = b.prover.greet("c:1", headers_for(challenge), PROTOCOL)
    assert as_c is not None and not as_c.is_proven(recorded), "the dialler's, for another node's"
    assert a.prover.answer("c:1", challenge, greeting.headers, PROTOCOL) is None, "the answerer's, for another node's"
    elsewhere = End(tmp_path, A, ONE, cluster="theirs")
    assert elsewhere.prover.answer(B, challenge, greeting.headers, PROTOCOL) is None, "under another cluster's name"

    mine = a.prover.challenge()
    reflected = a.prover.greet(B, headers_for(mine), PROTOCOL)
    assert reflected is not None
    assert a.prover.answer(B, mine, reflected.headers, PROTOCOL) is None, "its own answer, reflected"
    own = a.prover.greet(A, headers_for(mine), PROTOCOL)
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
    assert end.prover.answer(B, end.prover.challenge(), headers, PROTOCOL) is None
    greeting = end.prover.greet(B, headers, PROTOCOL)
    assert greeting is None or greeting.await_proof


def test_prover_challenges_are_drawn_anew_each_time(tmp_path: Path) -> None:
    prover = Prover(A, "kvs", secret_file(tmp_path / "s", ONE), lambda peer, why: None)
    drawn = [prover.challenge() for _ in range(4)]
    greetings = [prover.greet(B, headers_for(drawn[0]), PROTOCOL) for _ in range(4)]
    drawn += [bytes.fromhex(each.headers[CHALLENGE_HEADER]) for each in greetings if each is not None]
    assert len(set(drawn)) == 8 and {len(challenge) for challenge in drawn} == {CHALLENGE_BYTES}
