"""How nodes to ask are written: in any form that people have at hand, and refused in one line otherwise."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from kvs.endpoints import endpoints_of, host_and_port
from kvs.errors import BadRequest


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("a:1", ("a:1",)),
        ("a", ("a:13800",)),
        ("http://a:1/", ("a:1",)),
        ("HTTP://a", ("a:13800",)),
        ("http://10.0.0.1, http://b:80", ("10.0.0.1:13800", "b:80")),
        ("[::1]", ("[::1]:13800",)),
        (["a", "http://b:1"], ("a:13800", "b:1")),
        (("http://[::1]:80/",), ("[::1]:80",)),
    ],
)
def test_endpoints_of_any_form(given: str | Iterable[str], asked: tuple[str, ...]) -> None:
    assert endpoints_of(given) == asked


@pytest.mark.parametrize("given", ["", [], "a,,b", "a,a:13800", "https://a:1", "a:99999", "http://a:1/kvs", ["a b"]])
def test_endpoints_malformed_are_refused(given: str | Iterable[str]) -> None:
    with pytest.raises(BadRequest):
        endpoints_of(given)


@pytest.mark.parametrize(("address", "parts"), [("a:1", ("a", 1)), ("[::1]:80", ("::1", 80))])
def test_endpoint_has_a_host_and_a_port(address: str, parts: tuple[str, int]) -> None:
    assert host_and_port(address) == parts
