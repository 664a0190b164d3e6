"""A token is made of chance, sent as it is, and stands in no error."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kvs.errors import BadRequest
from kvs.token import ROLES, headers_of, make_token, read_token

SECRET = "hunter2"


@pytest.mark.parametrize("role", ROLES)
def test_token_made_is_32_random_bytes_and_its_line_has_the_hash(role: str) -> None:
    made = make_token(role)
    assert len(made.token) == 43 and headers_of(made.token) == {"Authorization": f"Bearer {made.token}"}
    assert made.line == f"{role} {hashlib.sha256(made.token.encode()).hexdigest()}"
    assert make_token(role).token != made.token


def test_token_none_sends_nothing() -> None:
    assert headers_of(None) == {}


@pytest.mark.parametrize("token", ["", f"{SECRET} x", f"{SECRET}\r\nHost: y", f"{SECRET}é", f"{SECRET}\0"])
def test_token_that_no_header_can_carry_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(BadRequest) as caught:
        headers_of(token)
    assert SECRET not in str(caught.value)


def test_token_of_a_file_may_have_blanks_around_it(tmp_path: Path) -> None:
    (tmp_path / "t").write_text(f"\n {SECRET}\r\n\n")
    assert read_token(tmp_path / "t") == SECRET


@pytest.mark.parametrize("content", [b"", b"\n", b"hunter2 hunter3", b"hunter2\nhunter3", b"hunter2\xff"])
def test_token_file_that_has_not_one_token_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(BadRequest) as caught:
        read_token(tmp_path / "t")
    assert str(caught.value) == f"{tmp_path}/t: it must have one token, and nothing else"


def test_token_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest) as caught:
        read_token(tmp_path / "t")
    assert str(caught.value) == f"{tmp_path}/t: no such file or directory"
