"""How nodes to ask are written: in any form that people have at hand, and refused in one line otherwise."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from kvs.endpoints import addresses_of, are_secure, endpoints_of, host_and_port
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
        ("https://a:1", ("https://a:1",)),
        ("HTTPS://a/, b:1", ("https://a:13800", "https://b:1")),
        (("https://a:1", "https://[::1]"), ("https://a:1", "https://[::1]:13800")),
    ],
)
def test_endpoints_of_any_form(given: str | Iterable[str], asked: tuple[str, ...]) -> None:
    assert endpoints_of(given) == asked


@pytest.mark.parametrize(
    "given", ["", [], "a,,b", "a,a:13800", "https://a,a", "https://", "a:99999", "http://a:1/kvs", ["a b"]]
)
def test_endpoints_malformed_are_refused(given: str | Iterable[str]) -> None:
    with pytest.raises(BadRequest):
        endpoints_of(given)


def test_endpoints_by_tls_and_in_the_clear_together_are_refused() -> None:
    with pytest.raises(BadRequest, match="all nodes of a store speak TLS, or none does"):
        endpoints_of("https://a,http://b")


def test_endpoints_by_tls_stay_so_however_often_they_are_read() -> None:
    once = endpoints_of("https://a:1,b:2")
    assert endpoints_of(once) == once
    assert are_secure(once) and not are_secure(endpoints_of("a:1"))
    assert addresses_of(once) == addresses_of(("a:1", "b:2")) == ("a:1", "b:2")


@pytest.mark.parametrize(("address", "parts"), [("a:1", ("a", 1)), ("[::1]:80", ("::1", 80))])
def test_endpoint_has_a_host_and_a_port(address: str, parts: tuple[str, int]) -> None:
    assert host_and_port(address) == parts
