"""`python -m tests.process.sick_disk CONTROL PROGRAM` becomes `python PROGRAM`, which is `-m node` or what starts one,
with the same process id, on a disk that is as the file CONTROL says: `hang`, and fdatasync does not return; `fail`, and
it fails with EIO; anything else, and it is well.

The kernel asks another process, the watcher, about each fdatasync (`seccomp` with `SECCOMP_FILTER_FLAG_NEW_LISTENER`,
Linux 5.5). It needs no privileges. What hangs can still be killed.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import NamedTuple


class _Numbers(NamedTuple):
    seccomp: int
    fdatasync: int


_NUMBERS = {"x86_64": _Numbers(317, 75), "aarch64": _Numbers(277, 83)}
_NO_NEW_PRIVS, _SET_FILTER, _NEW_LISTENER = 38, 1, 8
_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_QUESTION_BYTES, _GO_ON = 80, 1
POLL_S = 0.02


def is_possible() -> bool:
    """Whether this kernel offers it."""
    available = Path("/proc/sys/kernel/seccomp/actions_avail")
    return platform.machine() in _NUMBERS and available.exists() and "user_notif" in available.read_text()


def main() -> None:
    control = Path(sys.argv[1])
    mine, its = socket.socketpair()
    if os.fork() == 0:
        mine.close()
        _, (listener,), _, _ = socket.recv_fds(its, 1, 1)
        _watch(listener, control)
        os._exit(0)
    its.close()
    listener = _listen()
    socket.send_fds(mine, [b"."], [listener])
    os.close(listener)
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])


def _listen() -> int:
    """From now on, the kernel asks about each fdatasync of this process, and of what it becomes."""
    numbers = _NUMBERS[platform.machine()]
    load, jump, end = 0x20, 0x15, 0x06
    program = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in (
            (load, 0, 0, 0),
            (jump, 0, 1, numbers.fdatasync),
            (end, 0, 0, _ASK),
            (end, 0, 0, _ALLOW),
        )
    )
    kept = ctypes.create_string_buffer(program, len(program))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(kept)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    listener = libc.syscall(numbers.seccomp, _SET_FILTER, _NEW_LISTENER, filter_)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(listener)


def _watch(listener: int, control: Path) -> None:
    """Answer, until nobody is left who could ask."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        events = dict(poll.poll()).get(listener, 0)
        if not events & select.POLLIN:
            return
        question = bytearray(_QUESTION_BYTES)
        try:
            fcntl.ioctl(listener, _RECEIVE, question)
            (number,) = struct.unpack_from("=Q", question)
            fails = _wait_while_it_hangs(listener, number, control) == "fail"
            answer = struct.pack("=QqiI", number, 0, -errno.EIO if fails else 0, 0 if fails else _GO_ON)
            fcntl.ioctl(listener, _ANSWER, answer)
        except OSError as error:
            if error.errno != errno.ENOENT:  # Who asked has been killed.
                raise


def _wait_while_it_hangs(listener: int, number: int, control: Path) -> str:
    """Returns what the disk is then. Raises OSError if whoever asked has been killed."""
    while (how := control.read_text() if control.exists() else "") == "hang":
        time.sleep(POLL_S)
        fcntl.ioctl(listener, _IS_THERE, struct.pack("=Q", number))
    return how


_IS_THERE = 0x40082102


if __name__ == "__main__":
    main()
