"""What nodes of earlier releases send is understood as they mean it, and they understand what is sent to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from node.net.frames import BadFrame, decode_calls, decode_replies
from node.net.protocol import SPOKEN, UNTOLD, common
from tests.compat.releases import RELEASES
from tests.golden.samples import SAMPLES

FRAMES = [
    (release.name, name, bytes.fromhex(data))
    for release in RELEASES.values()
    if (file := release.directory / "frames.json").exists()
    for name, data in json.loads(file.read_text()).items()
]
SENT = [(name, data) for release, name, data in FRAMES if release == "protocol-1"]


def plain(data: bytes) -> Any:
    return msgspec.msgpack.decode(data)


def differences(then: Any, now: Any, place: str = "") -> Iterator[str]:
    """Where `now` says otherwise what `then` says; a field more at the end of a list is no difference."""
    if isinstance(then, list) and isinstance(now, list) and len(then) <= len(now):
        for number, (each, other) in enumerate(zip(then, now, strict=False)):
            yield from differences(each, other, f"{place}.{number}")
    elif then != now or type(then) is not type(now):
        yield f"{place}: {then!r} was {now!r}"


@pytest.mark.parametrize(("release", "name", "data"), FRAMES, ids=[f"{release} {name}" for release, name, _ in FRAMES])
def test_frame_of_an_earlier_release_is_understood_as_it_is_meant(release: str, name: str, data: bytes) -> None:
    sample = SAMPLES[name]
    found = sample.decode(data)
    assert type(found) is type(sample.what)
    again = sample.encode(found)
    if name.split(":", maxsplit=1)[0] in ("call", "reply", "cast", "frame"):
        assert list(differences(plain(data), plain(again))) == []
    else:
        assert again == data


@pytest.mark.parametrize(("name", "data"), SENT, ids=[name for name, _ in SENT])
def test_frame_sent_under_protocol_1_has_no_field_more_than_its_nodes_know(name: str, data: bytes) -> None:
    """They end the link on one."""
    assert common(SPOKEN, UNTOLD) == 1
    sample = SAMPLES[name]
    assert sample.encode(sample.what) == data


REFUSED: dict[str, str] = json.loads((RELEASES["3.0"].directory / "frames-refused.json").read_text())


@pytest.mark.parametrize("name", REFUSED)
def test_frame_of_3_0_is_none(name: str) -> None:
    """Nor is it taken for another one."""
    with pytest.raises(BadFrame):
        (decode_replies if name.startswith("reply") else decode_calls)(bytes.fromhex(REFUSED[name]))


def test_differences_are_found() -> None:
    """Or the tests above show nothing."""
    then = [1, [2, b"x", None], "a"]
    assert list(differences(then, [1, [2, b"x", None, 7], "a", 8])) == []
    for now in (
        [1, [2, b"x"], "a"],
        [1, [2, b"x", False], "a"],
        [1, [3, b"x", None], "a"],
        [1, [2, "x", None], "a"],
        [],
    ):
        assert list(differences(then, now))
