"""What a request for a view change may say, and that nothing in it is passed over: tables."""

from __future__ import annotations

import pytest

from node.api.change_request import (
    Options,
    change_of,
    gone_for_good_of,
    if_epoch_of,
    if_safe_of,
    options_of,
    take_back_of,
    target_of,
)
from node.errors import RequestFault


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", Options(False, True)),
        ("dry-run=true", Options(True, True)),
        ("dry-run=false&wait=false", Options(False, False)),
    ],
)
def test_change_request_options(query: str, expected: Options) -> None:
    assert options_of(query) == expected


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("dry-run=True", "Malformed dry-run: neither true nor false"),
        ("dry-run=1", "Malformed dry-run: neither true nor false"),
        ("wait=no", "Malformed wait: neither true nor false"),
        ("dry-run=true&dry-run=false", "Malformed query: an option stands there twice"),
        ("dry_run=true", "Unknown option dry_run: did you mean dry-run?"),
        ("dryrun=true", "Unknown option dryrun: did you mean dry-run?"),
        ("x=true", "Unknown option x: known are dry-run, wait"),
    ],
)
def test_change_request_options_that_are_misspelled_are_refused(query: str, fault: str) -> None:
    with pytest.raises(RequestFault) as refusal:
        options_of(query)
    assert str(refusal.value) == fault


@pytest.mark.parametrize(
    ("field", "meant"),
    [
        ("if_safe", "if-safe"),
        ("if-epcoh", "if-epoch"),
        ("if_epoch", "if-epoch"),
        ("repl_factor", "repl-factor"),
        ("gone_for_good", "gone-for-good"),
        ("gone-forgood", "gone-for-good"),
    ],
)
def test_change_request_fields_that_are_misspelled_are_refused(field: str, meant: str) -> None:
    with pytest.raises(RequestFault) as refusal:
        change_of(b'{"view":"a:1","%b":1}' % field.encode())
    assert str(refusal.value) == f"Unknown field {field}: did you mean {meant}?"


def test_change_request_context_of_a_client_of_data_is_ignored() -> None:
    assert target_of(change_of(b'{"view":"a:1,b:1","repl-factor":2,"causal-context":{}}')) == (("a:1", "b:1"), 2)


@pytest.mark.parametrize("field", ["view", "repl-factor"])
def test_change_request_that_takes_back_takes_no_other_view(field: str) -> None:
    with pytest.raises(RequestFault, match=f"Unknown field {field}"):
        take_back_of(b'{"%b":"a:1"}' % field.encode())


def test_change_request_without_conditions() -> None:
    body = take_back_of(b"")
    assert (if_epoch_of(body), if_safe_of(body), gone_for_good_of(body)) == (None, False, False)
    with pytest.raises(RequestFault, match="View is missing"):
        change_of(b'{"views":"a:1"}')


@pytest.mark.parametrize(("sent", "expected"), [(b"true", True), (b"false", False)])
def test_change_request_gone_for_good(sent: bytes, expected: bool) -> None:
    body = take_back_of(b'{"gone-for-good":%b}' % sent)
    assert gone_for_good_of(body) is expected and if_safe_of(body) is False


@pytest.mark.parametrize("sent", [b"1", b'"true"', b"null", b"[]", b"{}"])
def test_change_request_gone_for_good_that_is_neither_true_nor_false_is_refused(sent: bytes) -> None:
    with pytest.raises(RequestFault, match="Malformed gone-for-good: neither true nor false"):
        gone_for_good_of(take_back_of(b'{"gone-for-good":%b}' % sent))
