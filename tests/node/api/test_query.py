"""What stands in a URL behind the question mark."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from node.api.query import option_of, options_of, part_of_key, truth_of, without_options
from node.errors import RequestFault


def test_options_are_those_that_are_known_each_once() -> None:
    assert options_of("prefix=a%2F&after=", {"prefix", "after"}) == {"prefix": "a/", "after": ""}
    for query in ("prefix=%ff", "prefix=a&prefix=b", "pre=a"):
        with pytest.raises(RequestFault):
            options_of(query, {"prefix"})


def test_option_is_found_among_others() -> None:
    assert option_of("a=1&wait=2", "wait") == "2"
    assert option_of("a=1", "wait") is None
    with pytest.raises(RequestFault, match="wait stands there twice"):
        option_of("wait=1&wait=2", "wait")


def test_options_where_there_are_none() -> None:
    assert options_of("", ()) == {}
    with pytest.raises(RequestFault, match="Unknown option x: there is none here"):
        options_of("x", ())


def test_truth_is_true_or_false() -> None:
    assert [truth_of({"a": text}, "a", True) for text in ("true", "false")] == [True, False]
    assert [truth_of({}, "a", absent) for absent in (True, False)] == [True, False]
    for text in ("", "True", "1"):
        with pytest.raises(RequestFault, match="Malformed a: neither true nor false"):
            truth_of({"a": text}, "a", True)


def test_part_of_a_key_is_no_longer_than_a_key() -> None:
    assert part_of_key({"prefix": "é" * 50}, "prefix") == "é".encode() * 50
    assert part_of_key({}, "prefix") == b""
    with pytest.raises(RequestFault, match="Malformed after: no key has more than 50 characters"):
        part_of_key({"after": "x" * 51}, "after")


async def test_a_path_without_options_takes_none() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=204)

    checked = without_options(handler)
    assert (await checked(make_mocked_request("GET", "/kvs/ring"))).status == 204
    with pytest.raises(RequestFault, match="Unknown option x: there is none here"):
        await checked(make_mocked_request("GET", "/kvs/ring?x=1"))
