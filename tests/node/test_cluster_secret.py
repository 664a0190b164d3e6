"""What may stand in the file of the cluster's secret."""

from __future__ import annotations

import pytest

from node.cluster_secret import CHARS_MIN, Secrets, parse_cluster_secret
from node.secret_files import BadLine, Line

ONE, OTHER = "x" * CHARS_MIN, "Ab3+/=-_" * 8


def parsed(*lines: str) -> Secrets:
    return parse_cluster_secret(Line(number, line) for number, line in enumerate(lines, 1))


def test_secret_is_one_line_or_two_of_which_the_first_is_used() -> None:
    assert parsed(ONE) == (ONE.encode(),)
    assert parsed(OTHER, ONE) == (OTHER.encode(), ONE.encode())


@pytest.mark.parametrize(
    ("lines", "number", "right"),
    [
        ([ONE[:-1]], 1, "a line of 32 or more random characters without spaces"),
        ([ONE, f"{ONE} {ONE}"], 2, "a line of 32 or more random characters without spaces"),
        ([f"{ONE}\0"], 1, "a line of 32 or more random characters without spaces"),
        ([ONE, OTHER, ONE], 3, "there are two secrets already"),
        ([], None, "it has no secret"),
    ],
)
def test_secret_malformed_is_named_by_its_line_and_not_repeated(
    lines: list[str], number: int | None, right: str
) -> None:
    with pytest.raises(BadLine) as caught:
        parsed(*lines)
    assert caught.value.number == number
    assert right in str(caught.value) and ONE[:-1] not in str(caught.value)
