"""The last line of an export: how much stands before it, and a checksum of that, byte by byte. Pure."""

from __future__ import annotations

import hashlib

import msgspec

FORMAT = 1


class Manifest(msgspec.Struct, frozen=True):
    entries: int
    expiring: int
    """Those of the entries that expire."""
    sha256: str
    """Of all lines before."""
    exported: str
    """When the export began, as ISO 8601 in UTC."""
    format: int = FORMAT


class _Line(msgspec.Struct, frozen=True):
    manifest: Manifest


class Sum:
    """What has been written, or read, of an export."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.entries = 0
        self.expiring = 0

    def add(self, lines: bytes, entries: int, expiring: int) -> None:
        self._hash.update(lines)
        self.entries += entries
        self.expiring += expiring

    def line(self, exported: str) -> bytes:
        """The manifest of all this, as the line that follows it."""
        manifest = Manifest(self.entries, self.expiring, self._hash.hexdigest(), exported)
        return msgspec.json.encode(_Line(manifest)) + b"\n"

    def fault(self, manifest: Manifest) -> str | None:
        """Why this is not what the manifest tells of; None: it is."""
        if manifest.format != FORMAT:
            return f"it is of format {manifest.format}, and this kvs knows {FORMAT}"
        if manifest.entries != self.entries:
            return f"its manifest tells of {manifest.entries:,} entries, and it has {self.entries:,}"
        if manifest.expiring != self.expiring:
            return f"its manifest tells of {manifest.expiring:,} entries that expire, and it has {self.expiring:,}"
        if manifest.sha256 != self._hash.hexdigest():
            return "it was changed since it was exported; if that was meant, `kvs load` takes it without its last line"
        return None


def manifest_in(line: bytes) -> Manifest | None:
    """None: the line is something else."""
    try:
        return msgspec.json.decode(line, type=_Line).manifest
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
