"""What a request for a view change may say, and that nothing in it is passed over: tables."""

from __future__ import annotations

import pytest

from node.api.change_request import (
    Options,
    body_of,
    gone_for_good_of,
    if_epoch_of,
    if_safe_of,
    options_of,
    target_of,
)
from node.errors import RequestFault


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, Options(False, True)),
        ({"dry-run": "true"}, Options(True, True)),
        ({"dry-run": "false", "wait": "false"}, Options(False, False)),
    ],
)
def test_change_request_options(query: dict[str, str], expected: Options) -> None:
    assert options_of(query) == expected


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ({"dry-run": "True"}, "Malformed dry-run: neither true nor false"),
        ({"dry-run": "1"}, "Malformed dry-run: neither true nor false"),
        ({"wait": "no"}, "Malformed wait: neither true nor false"),
        ({"dry_run": "true"}, "Unknown option dry_run: did you mean dry-run?"),
        ({"dryrun": "true"}, "Unknown option dryrun: did you mean dry-run?"),
        ({"x": "true"}, "Unknown option x: known are dry-run, wait"),
    ],
)
def test_change_request_options_that_are_misspelled_are_refused(query: dict[str, str], fault: str) -> None:
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
        body_of(b'{"view":"a:1","%b":1}' % field.encode(), names_view=True)
    assert str(refusal.value) == f"Unknown field {field}: did you mean {meant}?"


def test_change_request_context_of_a_client_of_data_is_ignored() -> None:
    assert target_of(body_of(b'{"view":"a:1,b:1","repl-factor":2,"causal-context":{}}', True)) == (("a:1", "b:1"), 2)


def test_change_request_without_conditions() -> None:
    body = body_of(b"", names_view=False)
    assert (if_epoch_of(body), if_safe_of(body), gone_for_good_of(body)) == (None, False, False)
    with pytest.raises(RequestFault, match="View is missing"):
        body_of(b'{"views":"a:1"}', names_view=True)


@pytest.mark.parametrize(("sent", "expected"), [(b"true", True), (b"false", False)])
def test_change_request_gone_for_good(sent: bytes, expected: bool) -> None:
    body = body_of(b'{"gone-for-good":%b}' % sent, names_view=False)
    assert gone_for_good_of(body) is expected and if_safe_of(body) is False


@pytest.mark.parametrize("sent", [b"1", b'"true"', b"null", b"[]", b"{}"])
def test_change_request_gone_for_good_that_is_neither_true_nor_false_is_refused(sent: bytes) -> None:
    with pytest.raises(RequestFault, match="Malformed gone-for-good: neither true nor false"):
        gone_for_good_of(body_of(b'{"gone-for-good":%b}' % sent, names_view=False))
