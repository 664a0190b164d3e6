"""`python -m node`: a process that can be ended from its first moment on.

All that takes time, even imports, comes after the handlers of signals. The kernel keeps from the first process of a
container what that one has no handler for: a SIGTERM that came too early would be lost, and the node would serve on.
Whoever starts this with the signals blocked, as the image does, has none lost even while Python itself starts. A SIGHUP
is kept until the files are about to be read that it is about.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT)


def _end(_: int, __: FrameType | None) -> None:
    """There is nothing to finish: nobody has been answered yet, and the disk is as after a kill."""
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:]:
        print("python -m node takes no arguments: its environment tells it, by ADDRESS and VIEW", file=sys.stderr)
        sys.exit(2)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    for number in ENDING:
        signal.signal(number, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    sys.exit(importlib.import_module("node.process").main())
