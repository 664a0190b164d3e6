"""Commands that are expected to end by themselves."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

COMMAND_S = 60
"""One docker command; a second each on an idle machine."""


class Done(NamedTuple):
    status: int
    out: str
    errors: list[str]
    """The lines on stderr."""


async def run(
    *command: str,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    timeout_s: float = COMMAND_S,
) -> Done:
    """Run a command to its end, whatever its status; by default with the environment and in the directory of the tests.
    One that does not end in time is killed, with a TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=directory,
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Done(process.returncode, out.decode().strip(), errors.decode().splitlines())
