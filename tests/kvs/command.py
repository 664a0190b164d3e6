"""The command `kvs` as a test calls it."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result

Kvs = Callable[..., Result]
"""(*arguments, stdin="", endpoints=that of the fake store) -> how it ended."""
NOWHERE = "127.0.0.1:1"
"""An endpoint where nobody listens."""
PATIENCE_S = 20.0
ON_A_KEYBOARD = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("kvs.cli", run_name="__main__", alter_sys=True)
"""
"""The command, for which Ctrl-C means something: a shell has what it runs in the background ignore that, and so has
whoever is started from there."""
