"""The log goes to stderr, a line each for people or, with `LOG_FORMAT=json`, for programs; and nobody waits for it.

A write to a pipe that nobody reads (a terminal that was halted, a log driver that is stuck) blocks for as long as it
takes. So a thread does it, for a bounded queue; what finds that full is dropped, and counted, and one line tells how
much it was once the thread gets on. A process that ends waits for its last lines, but not for ever.
"""

from __future__ import annotations

import copy
import logging
import threading
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from queue import Full, Queue
from typing import TextIO

import msgspec

QUEUE_MAX = 1000
"""More than a node says in an hour that is not its last one."""
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_Records = Queue[logging.LogRecord | None]


class JsonFormatter(logging.Formatter):
    """One JSON object: time (UTC), level, logger, message; the traceback, if there is one; and the fields that come
    with it, as `extra={"fields": …}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            line["traceback"] = record.exc_text
        return msgspec.json.encode(line | getattr(record, "fields", {})).decode()


FORMATTERS = {"text": logging.Formatter(FORMAT), "json": JsonFormatter()}
"""By what `LOG_FORMAT` says."""


class DroppingHandler(QueueHandler):
    """Drops what finds no room, and counts it."""

    def __init__(self, records: _Records) -> None:
        super().__init__(records)
        self._records = records
        self._dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record with all that it says in words: what its line is about may have changed before it is written."""
        ready = copy.copy(record)
        ready.msg, ready.args = record.getMessage(), None
        if record.exc_info:
            ready.exc_text = logging.Formatter().formatException(record.exc_info)
        ready.exc_info = None
        return ready

    def enqueue(self, record: logging.LogRecord) -> None:
        """Called with the lock of this handler held."""
        try:
            self._tell()
            self._records.put_nowait(record)
        except Full:
            self._dropped += 1

    def tell_if_idle(self) -> None:
        """Tell how many were dropped, if any were and all others are written."""
        assert self.lock is not None
        with self.lock:
            if self._records.empty():
                self._tell()

    def _tell(self) -> None:
        """Raises Full."""
        if self._dropped:
            text = "lines of the log that stderr did not take, and that are missing here: %d"
            args = (self._dropped,)
            self._records.put_nowait(logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, args, None))
            self._dropped = 0


class LogWriter(QueueListener):
    """Writes what is logged to `stream`, from now on until `close`."""

    def __init__(self, stream: TextIO) -> None:
        self._writing = logging.StreamHandler(stream)
        self.write_as("text")
        self._records: _Records = Queue(QUEUE_MAX)
        self.handler = DroppingHandler(self._records)
        super().__init__(self._records, self._writing)
        self.start()

    def write_as(self, form: str) -> None:
        """From now on, in this one of `FORMATTERS`."""
        self._writing.setFormatter(FORMATTERS[form])

    def handle(self, record: logging.LogRecord) -> None:
        super().handle(record)
        self.handler.tell_if_idle()

    def enqueue_sentinel(self) -> None:
        """Wait for room if there is none."""
        self._records.put(None)

    def close(self, patience_s: float) -> bool:
        """Whether all that was logged is written. If not, the thread still tries, with its stream locked."""
        stopping = threading.Thread(target=self.stop, daemon=True)
        stopping.start()
        stopping.join(patience_s)
        return not stopping.is_alive()
