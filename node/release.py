"""The version of this program."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of


@cache
def version() -> str | None:
    """Of the release that is installed; None if none is, and this runs from its source."""
    try:
        return version_of("kvs-sharded")
    except PackageNotFoundError:
        return None
