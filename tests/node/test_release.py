"""The version is that of the distribution that is installed."""

from __future__ import annotations

from importlib.metadata import version as version_of

from node.release import version


def test_release_is_that_which_is_installed() -> None:
    assert version() == version_of("kvs-sharded")
