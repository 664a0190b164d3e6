"""What a request is, and when it is answered, in the languages of those that are compared.

Only this differs between them in the load. It looks at as little of an answer as it can: whether it is whole, whether
it says that all went well, and, of a read, whether there is room in it for the value.
"""

from __future__ import annotations

import base64
from typing import Literal, Protocol

import msgspec

Name = Literal["node", "redis", "etcd"]
Method = Literal["GET", "PUT"]
LENGTH, SUCCESSES = b"Content-Length: ", (b"200", b"201")


class Dialect(Protocol):
    def get(self, key: str) -> bytes: ...

    def put(self, key: str, value: str) -> bytes: ...

    def judge(self, data: bytes) -> bool | None:
        """Whether it is a success; None: it is not whole yet."""


class _Http:
    """What the node and etcd's gateway have in common."""

    def __init__(self, address: str) -> None:
        self._address = address

    def judge(self, data: bytes) -> bool | None:
        head = data.find(b"\r\n\r\n")
        if head < 0:
            return None
        start = data.find(LENGTH, 0, head)
        if start < 0:
            raise ValueError(f"an answer that does not say how long it is: {data[:head]!r}")
        if len(data) < head + 4 + int(data[start + len(LENGTH) : data.index(b"\r", start)]):
            return None
        return data[9:12] in SUCCESSES

    def _request(self, method: str, path: str, body: bytes) -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._address}\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n".encode() + body


class Node(_Http):
    def get(self, key: str) -> bytes:
        return self._request("GET", f"/kvs/keys/{key}", b"")

    def put(self, key: str, value: str) -> bytes:
        return self._request("PUT", f"/kvs/keys/{key}", msgspec.json.encode({"value": value}))


class Etcd(_Http):
    """Its JSON gateway; keys and values are base64 there."""

    def get(self, key: str) -> bytes:
        return self._request("POST", "/v3/kv/range", msgspec.json.encode({"key": _base64(key)}))

    def put(self, key: str, value: str) -> bytes:
        body = msgspec.json.encode({"key": _base64(key), "value": _base64(value)})
        return self._request("POST", "/v3/kv/put", body)


class Redis:
    """RESP 2."""

    def get(self, key: str) -> bytes:
        return _command("GET", key)

    def put(self, key: str, value: str) -> bytes:
        return _command("SET", key, value)

    def judge(self, data: bytes) -> bool | None:
        head = data.find(b"\r\n")
        if head < 0:
            return None
        if data[:1] != b"$":
            return data[:1] == b"+"
        length = int(data[1:head])
        if length < 0:
            return False
        return True if len(data) >= head + 4 + length else None


def dialect(name: Name, address: str) -> Dialect:
    return Redis() if name == "redis" else Etcd(address) if name == "etcd" else Node(address)


def _command(*words: str) -> bytes:
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
