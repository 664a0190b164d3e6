"""Addresses have one form, and lists of them one meaning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.view import BadAddress, host_of, parse_address, parse_nodes, port_of

RULE = "it is an IP or a name, a colon, and a port from 1 to 65535"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.10.0.4:13800", "10.10.0.4:13800"),
        (" 10.10.0.4:13800\n", "10.10.0.4:13800"),
        ("localhost:1", "localhost:1"),
        ("Node-1.Example.COM:65535", "node-1.example.com:65535"),
        ("my_node:80", "my_node:80"),
        ("[::1]:80", "[::1]:80"),
        ("[2001:DB8:0:0::1]:80", "[2001:db8::1]:80"),
    ],
)
def test_address_canonical_form(text: str, canonical: str) -> None:
    assert parse_address(text) == canonical
    assert parse_address(canonical) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        ":80",
        "host:",
        "host:0",
        "host:080",
        "host:65536",
        "host:x",
        "host:80:80",
        "10.10.0:80",
        "10.10.0.256:80",
        "::1:80",
        "[::1]",
        "[::g]:80",
        "[10.0.0.1]:80",
        "-host:80",
        "host-:80",
        "a..b:80",
        "a b:80",
        "http://host:80",
        "a,b:80",
        "h\u00f6st:80",
        "x" * 64 + ":80",
        ".".join(["x" * 60] * 5) + ":80",
    ],
)
def test_address_malformed_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        parse_address(text)


@given(st.text())
def test_address_any_text_is_canonical_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except BadAddress:
        return
    assert parse_address(address) == address
    assert 1 <= port_of(address) <= 65535


@pytest.mark.parametrize(
    ("address", "host", "port"), [("10.0.0.1:80", "10.0.0.1", 80), ("[::1]:81", "::1", 81), ("n:1", "n", 1)]
)
def test_address_host_and_port(address: str, host: str, port: int) -> None:
    assert (host_of(address), port_of(address)) == (host, port)


def test_nodes_keep_their_order() -> None:
    assert parse_nodes("b:1, A:1,[::1]:2") == ("b:1", "a:1", "[::1]:2")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty address"),
        ("a:1,,b:1", "empty address"),
        ("a:1,", "empty address"),
        ("a:1,b", "'b'"),
        ("a:1,A:1", "duplicate address 'a:1'"),
    ],
)
def test_nodes_bad_list_names_the_entry(text: str, fault: str) -> None:
    with pytest.raises(BadAddress, match=fault):
        parse_nodes(text)


def test_nodes_bad_list_names_every_entry_in_order() -> None:
    with pytest.raises(BadAddress) as caught:
        parse_nodes("B:1,,b:1,x,a:1, A:1 ,b:1,x,")
    assert caught.value.faults == (
        "empty address",
        "duplicate address 'b:1'",
        f"malformed address 'x': {RULE}",
        "duplicate address 'a:1'",
        "duplicate address 'b:1'",
        f"malformed address 'x': {RULE}",
        "empty address",
    )


def dumb_parse_nodes(entries: list[str]) -> tuple[list[str], list[str]]:
    """The nodes and the faults, each entry compared with all before it."""
    nodes: list[str] = []
    faults: list[str] = []
    for entry in entries:
        if not entry.strip():
            faults.append("empty address")
        elif not entry.strip().endswith(":1"):
            faults.append(f"malformed address {entry.strip()!r}: {RULE}")
        elif entry.strip().lower() in nodes:
            faults.append(f"duplicate address {entry.strip().lower()!r}")
        else:
            nodes.append(entry.strip().lower())
    return nodes, faults


entries = st.sampled_from(["a:1", "A:1", " a:1", "b:1", "B:1 ", "c:1", "d:1", "e:1", "x", "y ", "", " "])


@given(st.lists(entries, min_size=1))
def test_nodes_and_faults_are_those_of_the_dumb_oracle(listed: list[str]) -> None:
    nodes, faults = dumb_parse_nodes(listed)
    if faults:
        with pytest.raises(BadAddress) as caught:
            parse_nodes(",".join(listed))
        assert caught.value.faults == tuple(faults)
    else:
        assert parse_nodes(",".join(listed)) == tuple(nodes)
