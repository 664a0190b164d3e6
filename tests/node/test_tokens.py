"""Which token has which role."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.secret_files import BadLine, Line
from node.tokens import REMEMBERED, Role, Tokens, parse_tokens
from tests.node.tokens import ADMIN, READ, UNKNOWN, WRITE, hash_of, lines_for


def parsed(text: str) -> Tokens:
    return parse_tokens(Line(number, line) for number, line in enumerate(text.splitlines(), 1))


@pytest.fixture
def tokens() -> Tokens:
    return parsed(lines_for(read=READ, write=WRITE, admin=ADMIN))


@pytest.mark.parametrize(
    ("authorization", "role"),
    [
        (f"Bearer {READ}", Role.READ),
        (f"Bearer {WRITE}", Role.WRITE),
        (f"Bearer {ADMIN}", Role.ADMIN),
        (f"bearer {READ}", Role.READ),
        (f"BEARER   {READ}", Role.READ),
        (f"Bearer {UNKNOWN}", Role.ANYBODY),
        (f"Bearer {READ}x", Role.ANYBODY),
        (f"Bearer {READ[:-1]}", Role.ANYBODY),
        (f"Bearer {READ.upper()}", Role.ANYBODY),
        (f"Bearer {hash_of(ADMIN)}", Role.ANYBODY),
        (f"Bearer {READ}, Bearer {ADMIN}", Role.ANYBODY),
        (f"Basic {READ}", Role.ANYBODY),
        (f"Bearer{READ}", Role.ANYBODY),
        (READ, Role.ANYBODY),
        ("Bearer", Role.ANYBODY),
        ("Bearer ", Role.ANYBODY),
        ("", Role.ANYBODY),
    ],
)
def test_tokens_role_of_a_header(tokens: Tokens, authorization: str, role: Role) -> None:
    assert tokens.role_of(authorization.encode()) is role


def test_tokens_hash_of_nothing_lets_nobody_in() -> None:
    tokens = parsed(f"admin {hash_of('')}")
    assert {tokens.role_of(header) for header in (b"", b"Bearer", b"Bearer ")} == {Role.ANYBODY}


def test_tokens_each_is_compared_in_constant_time_and_an_answer_is_remembered(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[bytes] = []

    def compare(known: bytes, told: bytes) -> bool:
        compared.append(known)
        return known == told

    monkeypatch.setattr(hmac, "compare_digest", compare)
    every = [bytes.fromhex(hash_of(token)) for token in (READ, WRITE, ADMIN)]
    for header in (b"Bearer %b" % READ.encode(), b"Bearer wrong"):
        tokens.role_of(header)
        tokens.role_of(header)
        assert compared == every, "all of them, whichever it is, and once"
        compared.clear()


def test_tokens_what_is_remembered_is_bounded(tokens: Tokens) -> None:
    for number in range(2 * REMEMBERED):
        tokens.role_of(b"Bearer %d" % number)
    assert tokens.role_of.cache_info().currsize == REMEMBERED


def test_tokens_roles_grow() -> None:
    assert Role.ANYBODY < Role.READ < Role.WRITE < Role.ADMIN


def test_tokens_hash_may_be_in_capitals_and_blanks_many() -> None:
    assert parsed(f"read \t {hash_of(READ).upper()}").role_of(f"Bearer {READ}".encode()) is Role.READ


GOOD = f"read {hash_of(READ)}"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (f"{GOOD}\nreader {hash_of(WRITE)}", 2),
        (f"{GOOD}\nREAD {hash_of(WRITE)}", 2),
        (f"{hash_of(READ)} read", 1),
        (hash_of(READ), 1),
        ("read", 1),
        (f"read {READ}", 1),
        (f"{GOOD}0", 1),
        (GOOD[:-1], 1),
        (f"{GOOD} -", 1),
        (GOOD.replace(" ", ":"), 1),
        (f"read {hash_of(READ)[:-1]}g", 1),
        (f"{GOOD}\n{GOOD}", 2),
        (f"{GOOD}\nadmin {hash_of(READ).upper()}", 2),
        ("", None),
    ],
)
def test_tokens_malformed_file_says_which_line_and_repeats_nothing(text: str, number: int | None) -> None:
    with pytest.raises(BadLine) as caught:
        parsed(text)
    assert caught.value.number == number
    told = str(caught.value)
    assert READ not in told and hash_of(READ)[:8] not in told.lower()
    assert "earlier" in told or "a role (read, write or admin), a space, and the SHA-256" in told


@given(st.text() | st.from_regex(r"\A(read|write|admin|root)?[ \t]*[0-9a-fA-F]{60,66}\Z"))
def test_tokens_whatever_a_file_says_it_is_tokens_or_a_bad_line(text: str) -> None:
    try:
        tokens = parsed(text)
    except BadLine:
        return
    assert tokens.role_of(b"") is Role.ANYBODY


TOKENS = parsed(lines_for(admin=ADMIN))


@given(st.binary() | st.binary().map(lambda raw: b"Bearer " + raw))
def test_tokens_whatever_a_header_says_it_is_nobody_that_is_known(header: bytes) -> None:
    assert TOKENS.role_of(header) is Role.ANYBODY
