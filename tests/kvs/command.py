"""The command `kvs` as a test calls it."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result

Kvs = Callable[..., Result]
"""(*arguments, stdin="", endpoints=that of the fake store) -> how it ended."""
NOWHERE = "127.0.0.1:1"
"""An endpoint where nobody listens."""
