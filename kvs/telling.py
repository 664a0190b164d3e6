"""Says on stderr why something is waited for, once that has taken a while, and then whenever it changes."""

from __future__ import annotations

import time

import click

SILENT_S = 1.0
"""Of waiting, before anything is said of it."""


class Telling:
    def __init__(self) -> None:
        self.got_on()

    def got_on(self) -> None:
        """It is waited anew from now on."""
        self._began, self._told = time.monotonic(), ""

    def tell(self, why: Exception) -> None:
        """It is still waited."""
        if str(why) != self._told and time.monotonic() - self._began >= SILENT_S:
            self._told = str(why)
            click.echo(f"Waiting: {self._told}", err=True)
